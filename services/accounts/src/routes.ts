import { BuyerId } from "@onsale/contracts/ids";
import { type HttpServer, problem } from "@onsale/http";
import type { ServiceContext } from "@onsale/runtime";
import { Type } from "typebox";
import { addressRoutes } from "./address-routes.ts";
import { adminRoutes } from "./admin-routes.ts";
import { errors } from "./errors.ts";
import { Email, Name, NewPassword, Password } from "./fields.ts";
import { logIn } from "./log-in.ts";
import { ownAccountRoutes } from "./own-account-routes.ts";
import type { AccountsPorts } from "./ports.ts";
import { logOut, refreshSession } from "./refresh-session.ts";
import { refused } from "./refusals.ts";
import { resetRoutes } from "./reset-routes.ts";
import { guestTokenSeconds, shortUserAgent } from "./session.ts";
import { sessionRoutes } from "./session-routes.ts";
import { signUp } from "./sign-up.ts";

const RefreshToken = Type.String({ minLength: 1, maxLength: 128 });
const seconds = Type.Integer({ description: "Seconds until the access token expires." });

const TokenPair = Type.Object({ accessToken: Type.String(), refreshToken: Type.String(), expiresIn: seconds });

const publicRoute = { access: "public" } as const;

type Context = ServiceContext<AccountsPorts>;

export function routes(http: HttpServer, context: Context): void {
  registering(http, context);
  loggingIn(http, context);
  refreshing(http, context);
  loggingOut(http, context);
  guests(http, context);
  keys(http, context);
  ownAccountRoutes(http, context);
  sessionRoutes(http, context);
  addressRoutes(http, context);
  resetRoutes(http, context);
  adminRoutes(http, context);
}

function registering(http: HttpServer, context: Context): void {
  http.post(
    "/v1/accounts",
    {
      config: publicRoute,
      schema: {
        summary: "Register. Whoever has registered is logged in.",
        body: Type.Object({ email: Email, password: NewPassword, name: Name }),
        response: { 201: Type.Object({ accountId: BuyerId, ...TokenPair.properties }) },
      },
    },
    async ({ body, headers, ip, cause }, reply) => {
      const userAgent = shortUserAgent(headers["user-agent"]);
      const signedUp = await signUp(context, body, { address: ip, userAgent, cause });
      switch (signedUp.kind) {
        case "signed-up":
          reply.code(201).header("cache-control", "no-store");
          return { accountId: signedUp.accountId, ...signedUp.tokens };
        case "email-taken":
          throw problem(409, errors.EMAIL_TAKEN);
        case "busy":
        case "limited":
          throw refused(signedUp);
        default:
          return signedUp satisfies never;
      }
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
    async ({ body, headers, ip }, reply) => {
      const userAgent = shortUserAgent(headers["user-agent"]);
      const loggedIn = await logIn(context, { ...body, address: ip, userAgent });
      switch (loggedIn.kind) {
        case "logged-in":
          reply.header("cache-control", "no-store");
          return loggedIn.tokens;
        case "wrong-credentials":
          throw problem(401, errors.WRONG_CREDENTIALS);
        case "busy":
        case "limited":
          throw refused(loggedIn);
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
