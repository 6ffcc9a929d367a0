import type { onRequestHookHandler } from "fastify";
import { httpErrors } from "./errors.ts";
import { type ProblemError, problem } from "./problem.ts";
import type { Access } from "./route.ts";
import { type Person, type Role, roles, TokenRefusedError, type TokenVerifier } from "./tokens.ts";

/** Where a request keeps its person; a symbol, so that nobody can set it by a field of the same name. */
export const personOfRequest = Symbol("person");

interface Identified {
  [personOfRequest]?: Person;
}

/** The least role that each door lets in. */
const leastRole: Readonly<Record<Exclude<Access, "public">, Role>> = {
  buyer: "guest",
  account: "customer",
  operator: "operator",
  admin: "admin",
};

/** Whether somebody of this role may come in. */
export const isLetIn = (role: Role, access: Exclude<Access, "public">): boolean =>
  roles.indexOf(role) >= roles.indexOf(leastRole[access]);

/** Finds out who sends the request, before its body is read. Undefined for a public route, which asks nobody. */
export function authenticator(access: Access, tokens: TokenVerifier): onRequestHookHandler | undefined {
  if (access === "public") return undefined;
  return (request, _reply, done) => {
    const enter = (person: Person): void => {
      (request as Identified)[personOfRequest] = person;
      if (isLetIn(person.role, access)) done();
      else done(problem(403, httpErrors.FORBIDDEN));
    };
    const token = bearerToken(request.headers.authorization);
    if (token === undefined) return done(unauthenticated("The request has no bearer token."));
    const known = tokens.known(token);
    if (known !== undefined) return enter(known);
    tokens.verify(token).then(enter, (error) => done(refusalOf(error)));
  };
}

/** @throws on a public route, where nobody was asked. */
export function requirePerson(request: object): Person {
  const person = (request as Identified)[personOfRequest];
  if (person === undefined) throw new Error("A public route has no person.");
  return person;
}

function bearerToken(header: string | undefined): string | undefined {
  const [scheme, token, ...rest] = (header ?? "").split(" ");
  return scheme?.toLowerCase() === "bearer" && token && rest.length === 0 ? token : undefined;
}

function refusalOf(error: unknown): Error {
  if (!(error instanceof TokenRefusedError)) return error as Error;
  if (!error.expired) return unauthenticated("The token is not valid here.", "invalid_token");
  return problem(401, httpErrors.TOKEN_EXPIRED, { headers: challenge("invalid_token") });
}

const unauthenticated = (detail: string, error?: string): ProblemError =>
  problem(401, httpErrors.UNAUTHENTICATED, { detail, headers: challenge(error) });

const challenge = (error: string | undefined) => ({
  "www-authenticate": error === undefined ? "Bearer" : `Bearer error="${error}"`,
});
