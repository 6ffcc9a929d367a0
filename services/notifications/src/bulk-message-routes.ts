import { answered, type HttpServer, httpErrors, idempotencyOf, idempotently, problem } from "@onsale/http";
import type { Queryable } from "@onsale/postgres";
import type { ServiceContext } from "@onsale/runtime";
import { type Static, Type } from "typebox";
import { errors } from "./errors.ts";
import type { NotificationPorts } from "./ports.ts";
import { BulkMessageBody, BulkMessageId, BulkMessagePage, BulkMessageView, PageLimit } from "./schemas.ts";
import { bulkProgress, cancelBulk, insertBulk, listBulks, type ShownBulk, showBulk } from "./store/bulk-message.ts";

type Context = ServiceContext<NotificationPorts>;

const path = "/v1/admin/bulk-messages";
const BulkMessagePath = Type.Object({ bulkMessageId: BulkMessageId });

export function bulkMessageRoutes(http: HttpServer, context: Context): void {
  ordering(http, context);
  watching(http, context);
  cancelling(http, context);
}

function ordering(http: HttpServer, { database, ports }: Context): void {
  http.post(
    path,
    {
      config: { access: "operator", idempotent: true },
      schema: {
        summary: "Send a message to many, at a time and at a rate.",
        description:
          "It goes to those who want news, through the channels that they chose for it, and to nobody twice.",
        body: BulkMessageBody,
        response: { 201: Type.Object({ bulkMessageId: BulkMessageId }) },
      },
    },
    async (request, reply) => {
      const { body, person } = request;
      const missing = body.channels.find((channel) => ports.senders[channel] === undefined);
      if (missing !== undefined)
        throw problem(422, errors.CHANNEL_MISSING, { detail: `This shop does not send ${missing}.` });
      const sendAt = momentOf(body.sendAt ?? ports.clock.now());
      const id = ports.ids.uuid();
      const answer = await idempotently(database, idempotencyOf(request), async (tx) => {
        const { texts, channels, ratePerSecond, personIds = null } = body;
        await insertBulk(tx, {
          id,
          texts: { ...texts },
          channels,
          personIds,
          ratePerSecond,
          sendAt,
          createdBy: person.id,
        });
        return { status: 201, body: { bulkMessageId: id } };
      });
      return answered(reply, answer);
    },
  );
}

/** Refuses what looks like a moment and is none, such as a thirtieth of February. */
function momentOf(text: string): string {
  const at = new Date(text);
  if (Number.isNaN(at.getTime()) || at.toISOString() !== text)
    throw problem(422, httpErrors.VALIDATION_FAILED, {
      detail: "body /sendAt is no moment of the calendar",
      errors: [{ pointer: "/sendAt", in: "body", detail: "is no moment of the calendar" }],
    });
  return text;
}

const highestId = "ffffffff-ffff-ffff-ffff-ffffffffffff";

function watching(http: HttpServer, { database }: Context): void {
  http.get(
    path,
    {
      config: { access: "operator" },
      schema: {
        summary: "Bulk messages, the newest first, with how far they are.",
        querystring: Type.Object({ limit: PageLimit, after: Type.Optional(BulkMessageId) }),
        response: { 200: BulkMessagePage },
      },
    },
    async ({ query: { limit = 50, after = highestId } }) => {
      // One more than asked for tells whether there is a next page, and `after` itself is passed over.
      const rows = (await listBulks(database, { from: after, limit: limit + 2 })).filter(({ id }) => id !== after);
      const page = rows.slice(0, limit);
      return {
        bulkMessages: await withProgress(database, page),
        next: rows.length > limit ? (page.at(-1)?.id ?? null) : null,
      };
    },
  );

  http.get(
    `${path}/:bulkMessageId`,
    {
      config: { access: "operator" },
      schema: { summary: "How far a bulk message is.", params: BulkMessagePath, response: { 200: BulkMessageView } },
    },
    async ({ params: { bulkMessageId } }) => await found(database, bulkMessageId),
  );
}

function cancelling(http: HttpServer, { database }: Context): void {
  http.post(
    `${path}/:bulkMessageId/cancel`,
    {
      config: { access: "operator" },
      schema: {
        summary: "Send no more of a bulk message.",
        params: BulkMessagePath,
        response: { 200: BulkMessageView },
      },
    },
    async ({ params: { bulkMessageId } }) => {
      const cancelled = await database.transaction((tx) => cancelBulk(tx, bulkMessageId));
      const bulk = await found(database, bulkMessageId);
      if (!cancelled) throw problem(409, errors.BULK_MESSAGE_ENDED);
      return bulk;
    },
  );
}

async function found(database: Queryable, bulkMessageId: string): Promise<Static<typeof BulkMessageView>> {
  const bulk = await showBulk(database, bulkMessageId);
  const [shown] = bulk === undefined ? [] : await withProgress(database, [bulk]);
  if (shown === undefined) throw problem(404, errors.BULK_MESSAGE_NOT_FOUND);
  return shown;
}

async function withProgress(
  database: Queryable,
  bulks: readonly ShownBulk[],
): Promise<Static<typeof BulkMessageView>[]> {
  const counts = await bulkProgress(
    database,
    bulks.map(({ id }) => id),
  );
  return bulks.map(({ id, audience, channels, texts, ...bulk }) => {
    const count = (status: string) => counts.find((it) => it.id === id && it.status === status)?.messages ?? 0;
    return {
      ...{ bulkMessageId: id, named: audience, channels: [...channels], texts, ...bulk },
      messages: {
        pending: count("pending"),
        sent: count("sent"),
        withdrawn: count("withdrawn"),
        dead: count("dead"),
      },
    };
  });
}
