import { Role } from "@onsale/contracts/accounts";
import { BuyerId } from "@onsale/contracts/ids";
import { type HttpServer, httpErrors, type ProblemError, problem } from "@onsale/http";
import type { ServiceContext } from "@onsale/runtime";
import { Type } from "typebox";
import { normalizeEmail } from "./account.ts";
import { errors } from "./errors.ts";
import { logIn } from "./log-in.ts";
import type { AccountsPorts } from "./ports.ts";
import { logOut, refreshSession } from "./refresh-session.ts";
import { registerAccount } from "./register-account.ts";
import { guestTokenSeconds } from "./session.ts";
import { readAccount } from "./store/account.ts";
import { telemetry } from "./telemetry.ts";

// RFC 5321: an address has at most 254 characters. Whether mail arrives there, only mail can tell.
const Email = Type.String({
  maxLength: 254,
  pattern: "^[^\\s@\\u0000-\\u001f\\u007f]+@[^\\s@\\u0000-\\u001f\\u007f]+$",
});
// Eight as NIST SP 800-63B has it, no rules about kinds of characters; the upper bound keeps a hash from being fed a book.
const NewPassword = Type.String({ minLength: 8, maxLength: 256 });
const Password = Type.String({ minLength: 1, maxLength: 256 });
const RefreshToken = Type.String({ minLength: 1, maxLength: 128 });
const seconds = Type.Integer({ description: "Seconds until the access token expires." });

const TokenPair = Type.Object({ accessToken: Type.String(), refreshToken: Type.String(), expiresIn: seconds });

const Me = Type.Object({
  accountId: BuyerId,
  role: Role,
  email: Type.Optional(Type.String({ description: "Absent for a guest." })),
  name: Type.Optional(Type.String({ description: "Absent for a guest." })),
});

const publicRoute = { access: "public" } as const;

type Context = ServiceContext<AccountsPorts>;

export function routes(http: HttpServer, context: Context): void {
  registering(http, context);
  whoAmI(http, context);
  loggingIn(http, context);
  refreshing(http, context);
  loggingOut(http, context);
  guests(http, context);
  keys(http, context);
}

function registering(http: HttpServer, context: Context): void {
  const { operator } = context.ports;
  // Whoever registered the operator's address first would own the account that the operator's rights go to.
  const reserved = operator && normalizeEmail(operator.email);
  http.post(
    "/v1/accounts",
    {
      config: publicRoute,
      schema: {
        summary: "Register.",
        body: Type.Object({ email: Email, password: NewPassword, name: Type.String({ minLength: 1, maxLength: 200 }) }),
        response: { 201: Type.Object({ accountId: BuyerId }) },
      },
    },
    async ({ body, cause }, reply) => {
      if (normalizeEmail(body.email) === reserved) throw problem(409, errors.EMAIL_TAKEN);
      const registered = await registerAccount(context, { ...body, role: "customer" }, cause);
      switch (registered.kind) {
        case "registered":
          reply.code(201);
          return { accountId: registered.accountId };
        case "email-taken":
          throw problem(409, errors.EMAIL_TAKEN);
        case "busy":
          throw overloaded();
        default:
          return registered satisfies never;
      }
    },
  );
}

function whoAmI(http: HttpServer, { database }: Context): void {
  http.get(
    "/v1/accounts/me",
    { config: { access: "buyer" }, schema: { summary: "Who the access token belongs to.", response: { 200: Me } } },
    async ({ person }) => {
      if (person.role === "guest") return { accountId: person.id, role: person.role };
      const account = await readAccount(database, person.id);
      if (account === undefined) throw problem(404, httpErrors.NOT_FOUND, { detail: "There is no such account." });
      return account;
    },
  );
}

function loggingIn(http: HttpServer, context: Context): void {
  http.post(
    "/v1/tokens",
    {
      config: publicRoute,
      schema: {
        summary: "Log in.",
        body: Type.Object({ email: Email, password: Password }),
        response: { 200: TokenPair },
      },
    },
    async ({ body }, reply) => {
      const loggedIn = await logIn(context, body);
      switch (loggedIn.kind) {
        case "logged-in":
          reply.header("cache-control", "no-store");
          return loggedIn.tokens;
        case "wrong-credentials":
          throw problem(401, errors.WRONG_CREDENTIALS);
        case "busy":
          throw overloaded();
        default:
          return loggedIn satisfies never;
      }
    },
  );
}

function refreshing(http: HttpServer, context: Context): void {
  http.post(
    "/v1/tokens/refresh",
    {
      config: publicRoute,
      schema: {
        summary: "Exchange a refresh token for new tokens. It works once; a second use ends the session.",
        body: Type.Object({ refreshToken: RefreshToken }),
        response: { 200: TokenPair },
      },
    },
    async ({ body }, reply) => {
      const tokens = await refreshSession(context, body.refreshToken);
      if (tokens === undefined) throw problem(401, errors.REFRESH_TOKEN_REFUSED);
      reply.header("cache-control", "no-store");
      return tokens;
    },
  );
}

function loggingOut(http: HttpServer, context: Context): void {
  http.post(
    "/v1/tokens/revoke",
    {
      config: publicRoute,
      schema: {
        summary: "Log out: ends the session of a refresh token. Access tokens already given out run until they expire.",
        body: Type.Object({ refreshToken: RefreshToken }),
      },
    },
    async ({ body }, reply) => {
      await logOut(context, body.refreshToken);
      return reply.code(204).send();
    },
  );
}

function guests(http: HttpServer, { ports }: Context): void {
  http.post(
    "/v1/guests",
    {
      config: publicRoute,
      schema: {
        summary:
          "A token for somebody without an account. Nothing is stored: the person exists from their first order on.",
        response: { 201: Type.Object({ accessToken: Type.String(), expiresIn: seconds }) },
      },
    },
    async (_request, reply) => {
      const accessToken = await ports.tokens.sign({ id: ports.ids.uuid(), role: "guest" }, guestTokenSeconds);
      reply.code(201).header("cache-control", "no-store");
      return { accessToken, expiresIn: guestTokenSeconds };
    },
  );
}

function keys(http: HttpServer, { ports }: Context): void {
  http.get(
    "/.well-known/jwks.json",
    { config: publicRoute, schema: { summary: "The keys that access tokens are verified with.", tags: ["tokens"] } },
    async () => ports.tokens.publicKeys,
  );
}

function overloaded(): ProblemError {
  telemetry.passwordQueueFull();
  return problem(503, httpErrors.OVERLOADED, { retryAfterSeconds: 1 });
}
