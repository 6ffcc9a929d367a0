import { isLockTimeout, isRetryable, isUnavailable, sqlState } from "@onsale/postgres";
import { Type } from "typebox";
import { type ErrorDefinition, httpErrors } from "./errors.ts";

/** One thing that is wrong with the request, and where. */
export interface ProblemPart {
  /** JSON Pointer into the part of the request that `in` names. */
  readonly pointer: string;
  readonly in?: "body" | "query" | "path" | "header";
  readonly detail: string;
}

export interface ProblemOptions {
  /** What is the matter this time, for a person. Never carries the text of an exception. */
  readonly detail?: string;
  readonly errors?: readonly ProblemPart[];
  readonly retryAfterSeconds?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly cause?: unknown;
}

/** A refusal on its way to the client. Thrown in routes only: a use case returns its refusals as values. */
export class ProblemError extends Error {
  override readonly name = "ProblemError";
  readonly status: number;
  readonly definition: ErrorDefinition;
  readonly options: ProblemOptions;

  constructor(status: number, definition: ErrorDefinition, options: ProblemOptions) {
    super(options.detail ?? definition.title, { cause: options.cause });
    this.status = status;
    this.definition = definition;
    this.options = options;
  }
}

/** Builds the refusal to be thrown: `throw problem(422, errors.UNKNOWN_PRODUCT, { detail })`. */
export const problem = (status: number, definition: ErrorDefinition, options: ProblemOptions = {}): ProblemError =>
  new ProblemError(status, definition, options);

/** What a client reads: RFC 9457 with a code to branch on. */
export const Problem = Type.Object(
  {
    type: Type.String({ description: "Where the error is described." }),
    title: Type.String(),
    status: Type.Integer(),
    code: Type.String({ description: "Stable; branch on this." }),
    detail: Type.String(),
    retryable: Type.Boolean({
      description: "Whether the same request, under the same Idempotency-Key, may succeed later.",
    }),
    trace_id: Type.String({ description: "Names this request in the logs." }),
    errors: Type.Optional(
      Type.Array(Type.Object({ pointer: Type.String(), in: Type.Optional(Type.String()), detail: Type.String() })),
    ),
  },
  { $id: "Problem", description: "Why the request was refused (RFC 9457)." },
);

export const problemMediaType = "application/problem+json";

/** The body of a refusal as text. */
export function problemBody({ status, definition, options }: ProblemError, traceId: string): string {
  const { code, title, retryable } = definition;
  return JSON.stringify({
    type: `/errors#${code}`,
    title,
    status,
    code,
    detail: options.detail ?? title,
    retryable,
    trace_id: traceId,
    ...(options.errors && { errors: options.errors }),
  });
}

/** The headers that belong to a refusal, its content type left out. */
export function problemHeaders({ status, options }: ProblemError): Record<string, string> {
  const { retryAfterSeconds, headers } = options;
  return {
    ...(retryAfterSeconds !== undefined && { "retry-after": String(retryAfterSeconds) }),
    ...(status === 401 && headers?.["www-authenticate"] === undefined && { "www-authenticate": "Bearer" }),
    ...headers,
  };
}

/** What a client is told of any failure. What is not a refusal of ours, nor the database's absence, is INTERNAL and tells nothing. */
export function asProblem(error: unknown): ProblemError {
  if (error instanceof ProblemError) return error;
  if (isUnavailable(error) || isRetryable(error) || isOutOfResources(error)) {
    return problem(503, httpErrors.UNAVAILABLE, { retryAfterSeconds: 1, cause: error });
  }
  if (isLockTimeout(error)) return problem(409, httpErrors.BUSY, { retryAfterSeconds: 1, cause: error });
  return ofFramework(error) ?? problem(500, httpErrors.INTERNAL, { cause: error });
}

// Class 53: disk full, out of memory, too many connections. It may pass, and nothing was written.
const isOutOfResources = (error: unknown): boolean => sqlState(error)?.startsWith("53") ?? false;

function ofFramework(error: unknown): ProblemError | undefined {
  switch ((error as { code?: unknown } | null | undefined)?.code) {
    case "FST_ERR_CTP_BODY_TOO_LARGE":
      // The rest of the body is not read, so the connection can't serve another request.
      return problem(413, httpErrors.BODY_TOO_LARGE, { headers: { connection: "close" } });
    case "FST_ERR_CTP_INVALID_MEDIA_TYPE":
      return problem(415, httpErrors.UNSUPPORTED_MEDIA_TYPE);
    case "FST_ERR_CTP_INVALID_CONTENT_LENGTH":
    case "FST_ERR_BAD_URL":
      return problem(400, httpErrors.MALFORMED_REQUEST);
    case "FST_ERR_MAX_PARAM_LENGTH":
      return problem(414, httpErrors.URI_TOO_LONG);
    default:
      return undefined;
  }
}
