import { answered, type HttpServer, idempotencyOf, idempotently } from "@onsale/http";
import type { Delivered } from "@onsale/messaging";
import {
  eventById,
  eventsAfter,
  latestEvents,
  resendEvent,
  type Tail,
  type TailCursor,
} from "@onsale/messaging/operations";
import { Type } from "typebox";
import { CursorText, cursorText, placeOf } from "./cursor.ts";
import { orRefuse, refusal } from "./errors.ts";
import type { OperatedService, OperatedServices } from "./operated-services.ts";
import { Event, Key, Limit, Mode, ReaderName, Reason, TypeName, Uuid } from "./schemas.ts";

const SourceName = Type.String({ minLength: 1, maxLength: 63, pattern: "^[a-z][a-z0-9_-]*$" });

const LaneCursor = Type.Object({
  snap: Type.String({ pattern: "^\\d+:\\d+:[\\d,]*$" }),
  high: Type.Integer({ minimum: 0 }),
  window: Type.Optional(
    Type.Object({
      nextSnap: Type.String({ pattern: "^\\d+:\\d+:[\\d,]*$" }),
      nextHigh: Type.Integer({ minimum: 0 }),
      at: Type.Integer({ minimum: 0 }),
      takenAt: Type.Optional(Type.String({ pattern: "^[\\d:TZ.-]+$" })),
    }),
  ),
});
const Place = Type.Record(SourceName, Type.Object({ online: LaneCursor, bulk: LaneCursor }));

const Told = Type.Object({
  events: Type.Array(Event),
  next: Type.String({ description: "Gives what is committed later, however late, and nothing twice." }),
});

/** What lies in the outboxes: the latest and what follows, one by its id, and that one sent again. */
export function eventRoutes(http: HttpServer, services: OperatedServices): void {
  http.get(
    "/v1/admin/events",
    {
      config: { access: "operator" },
      schema: {
        summary: "The latest events that fit; with `after` what was told since.",
        querystring: Type.Object({
          type: Type.Optional(TypeName),
          key: Type.Optional(Key),
          source: Type.Optional(SourceName),
          limit: Limit(500, 20),
          after: Type.Optional(CursorText),
        }),
        response: { 200: Told },
      },
    },
    async ({ query: { type, key, source, limit = 20, after } }) => {
      const asked = sourcesOf(services, source);
      const place = after === undefined ? undefined : placeOf(Place, after);
      const tails = await Promise.all(
        asked.map(
          async (service) =>
            [service.name, await tailOf(service, { type, key }, place?.[service.name], limit)] as const,
        ),
      );
      const events = tails.flatMap(([, tail]) => tail.events).sort(byTime);
      const next = Object.fromEntries(tails.map(([name, tail]) => [name, tail.after]));
      // What follows must be given whole: its cursor is behind it.
      return { events: place ? events : events.slice(-limit), next: cursorText(next) };
    },
  );

  http.get(
    "/v1/admin/events/:eventId",
    {
      config: { access: "operator" },
      schema: {
        summary: "One event, looked for among the last million of every lane.",
        params: Type.Object({ eventId: Uuid }),
        querystring: Type.Object({ source: Type.Optional(SourceName) }),
        response: { 200: Type.Object({ event: Event }) },
      },
    },
    async ({ params, query }) => ({ event: await findEvent(services, params.eventId, query.source) }),
  );

  http.post(
    "/v1/admin/events/:eventId/resend",
    {
      config: { access: "operator", idempotent: true },
      schema: {
        summary: "Gives one reader the event once more, in its place among its key's events.",
        params: Type.Object({ eventId: Uuid }),
        body: Type.Object({
          reader: ReaderName,
          source: Type.Optional(SourceName),
          mode: Mode,
          evenThoughApplied: Type.Optional(Type.Boolean({ description: "A second effect is meant." })),
          reason: Reason,
        }),
        response: { 202: Type.Object({ eventId: Type.String(), blocked: Type.Boolean() }) },
      },
    },
    async (request, reply) => {
      const { reader: name, source, mode, evenThoughApplied = false, reason } = request.body;
      const { service, reader } = services.ofReader(name);
      const event = await findEvent(services, request.params.eventId, source);
      const answer = await idempotently(service.database, idempotencyOf(request), async (tx) => {
        const resend = { event, reader, mode, evenThoughApplied, reason, operator: request.person.id };
        const { eventId, blocked } = orRefuse(await resendEvent(tx, resend));
        return { status: 202, body: { eventId, blocked } };
      });
      return answered(reply, answer);
    },
  );
}

function sourcesOf({ all }: OperatedServices, source: string | undefined): readonly OperatedService[] {
  const asked = all.filter(({ name }) => source === undefined || name === source);
  if (asked.length === 0) throw refusal("STREAM_NOT_FOUND", `There is no outbox of ${source}.`);
  return asked;
}

function tailOf(
  { database, name }: OperatedService,
  filter: { type: string | undefined; key: string | undefined },
  after: TailCursor | undefined,
  limit: number,
): Promise<Tail> {
  if (after === undefined) return latestEvents(database, name, { filter, limit });
  return eventsAfter(database, name, { filter, after, limit });
}

async function findEvent(services: OperatedServices, id: string, source: string | undefined): Promise<Delivered> {
  for (const { database, name } of sourcesOf(services, source)) {
    const event = await eventById(database, name, id.toLowerCase());
    if (event) return event;
  }
  throw refusal("EVENT_NOT_FOUND", `No event ${id} is among the last million of ${source ?? "any outbox"}.`);
}

const byTime = (a: Delivered, b: Delivered): number => (a.time < b.time ? -1 : a.time > b.time ? 1 : 0);
