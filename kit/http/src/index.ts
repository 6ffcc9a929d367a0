export { declaredErrors, defineErrors, type ErrorDefinition, httpErrors } from "./errors.ts";
export { type OpenStreams, type ServerSentEvent, sendEvents } from "./event-stream.ts";
export type { HealthOptions, Readiness } from "./health.ts";
export {
  type Answer,
  answered,
  type ClaimOutcome,
  claimKeys,
  forgetOldKeys,
  type IdempotencyClaim,
  type IdempotentAnswer,
  idempotencyOf,
  idempotently,
  isKeySpent,
  keyInProgress,
  keyReused,
  migrations,
  type ProspectiveAnswer,
  releaseKeys,
  spentKeys,
} from "./idempotency.ts";
export { Problem, ProblemError, type ProblemOptions, type ProblemPart, problem } from "./problem.ts";
export { type Access, type DeclaredRoute, type HttpServer, routesOf } from "./route.ts";
export { type AnsweredRequest, createHttpServer, type HttpLimits, type HttpServerOptions } from "./server.ts";
export {
  createTokenSigner,
  createTokenVerifier,
  newTokenKey,
  type Person,
  type Role,
  roles,
  TokenRefusedError,
  type TokenSigner,
  type TokenVerifier,
} from "./tokens.ts";
export type { RequestCause } from "./trace.ts";
