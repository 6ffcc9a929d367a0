import { Instant } from "@onsale/contracts/time";
import { type HttpServer, problem } from "@onsale/http";
import type { ServiceContext } from "@onsale/runtime";
import { Type } from "typebox";
import { endOtherSessions } from "./end-sessions.ts";
import { errors } from "./errors.ts";
import { Id } from "./fields.ts";
import type { AccountsPorts } from "./ports.ts";
import { endOwnSession, listSessions } from "./store/session.ts";

type Context = ServiceContext<AccountsPorts>;

const Session = Type.Object({
  sessionId: Id,
  userAgent: Type.Union([Type.String(), Type.Null()], {
    description: "What the browser or program called itself at log-in, shortened.",
  }),
  createdAt: Instant,
  lastUsedAt: Instant,
  expiresAt: Instant,
  isCurrent: Type.Boolean({ description: "It is the one that asks." }),
});

/** Where a person is logged in. */
export function sessionRoutes(http: HttpServer, context: Context): void {
  listing(http, context);
  endingOne(http, context);
  endingOthers(http, context);
}

function listing(http: HttpServer, { database }: Context): void {
  http.get(
    "/v1/accounts/me/sessions",
    {
      config: { access: "account" },
      schema: {
        summary: "Where one is logged in, the session last used first.",
        response: { 200: Type.Object({ sessions: Type.Array(Session) }) },
      },
    },
    async ({ person }) => {
      const sessions = await listSessions(database, person.id);
      return { sessions: sessions.map((it) => ({ ...it, isCurrent: it.sessionId === person.sessionId })) };
    },
  );
}

function endingOne(http: HttpServer, { database }: Context): void {
  http.delete(
    "/v1/accounts/me/sessions/:sessionId",
    {
      config: { access: "account" },
      schema: {
        summary: "End one session. Access tokens already given out run until they expire.",
        params: Type.Object({ sessionId: Id }),
      },
    },
    async ({ person, params: { sessionId } }, reply) => {
      if (!(await endOwnSession(database, person.id, sessionId))) throw problem(404, errors.SESSION_NOT_FOUND);
      return reply.code(204).send();
    },
  );
}

function endingOthers(http: HttpServer, context: Context): void {
  http.delete(
    "/v1/accounts/me/sessions",
    {
      config: { access: "account" },
      schema: {
        summary: "End all sessions but the one that asks.",
        response: { 200: Type.Object({ ended: Type.Integer() }) },
      },
    },
    async ({ person }) => ({ ended: await endOtherSessions(context, person.id, person.sessionId ?? null) }),
  );
}
