import { answered, type HttpServer, idempotencyOf, idempotently } from "@onsale/http";
import {
  dropLetter,
  editLetter,
  groupLetters,
  type Letter,
  listLetters,
  redriveLetter,
  showLetter,
} from "@onsale/messaging/operations";
import { Type } from "typebox";
import { CursorText, cursorText, placeOf } from "./cursor.ts";
import { orRefuse, refusal } from "./errors.ts";
import type { OperatedServices } from "./operated-services.ts";
import {
  Cause,
  Count,
  Event,
  EventId,
  Key,
  Limit,
  LoggedOperation,
  Mode,
  Moment,
  ReaderName,
  Reason,
  TypeName,
} from "./schemas.ts";
import { telemetry } from "./telemetry.ts";

const Filter = {
  reader: Type.Optional(ReaderName),
  type: Type.Optional(TypeName),
  cause: Type.Optional(Cause),
  key: Type.Optional(Key),
};

const Group = Type.Object({
  reader: ReaderName,
  type: TypeName,
  cause: Type.String({ description: "The error without ids, numbers, moments and quoted values." }),
  letters: Count,
  blocking: Type.Integer({ description: "Of these, those whose key waits behind them." }),
  oldestDiedAt: Moment,
  latestDiedAt: Moment,
  example: EventId,
});

const letterFields = {
  reader: ReaderName,
  eventId: EventId,
  aggregate: Type.String(),
  key: Type.String(),
  sequence: Count,
  type: Type.String(),
  source: Type.String(),
  blocks: Type.Boolean({ description: "Whether the rest of its key waits behind it." }),
  readable: Type.Boolean({
    description: "False for what is no event of ours, or can't be kept whole: it can only be dropped.",
  }),
  error: Type.String(),
  cause: Type.String(),
  attempts: Count,
  revision: Type.Integer({ description: "How often it was edited." }),
  diedAt: Moment,
};
const DeadLetter = Type.Object(letterFields);
const WholeLetter = Type.Object({
  ...letterFields,
  event: Event,
  waiting: Type.Integer({ description: "Events of its key that wait." }),
  operations: Type.Array(LoggedOperation),
});

const Change = Type.Object({
  op: Type.Union([Type.Literal("add"), Type.Literal("remove"), Type.Literal("replace")]),
  path: Type.String({ description: "JSON Pointer (RFC 6901)." }),
  before: Type.Optional(Type.Unknown()),
  value: Type.Optional(Type.Unknown()),
});

const Place = Type.Object({ diedAt: Type.String(), reader: Type.String(), eventId: Type.String() });

const inPath = Type.Object({ reader: ReaderName, eventId: EventId });

/** Dead letters: looked at, edited, dropped and redriven one by one. */
export function deadLetterRoutes(http: HttpServer, services: OperatedServices): void {
  http.get(
    "/v1/admin/dead-letter-groups",
    {
      config: { access: "operator" },
      schema: {
        summary: "Dead letters by reader, type and cause, the largest group first.",
        querystring: Type.Object(Filter),
        response: { 200: Type.Object({ groups: Type.Array(Group) }) },
      },
    },
    async ({ query }) => {
      const groups = await Promise.all(
        services.asked(query.reader).map(({ database }) => groupLetters(database, query)),
      );
      return { groups: groups.flat().sort((a, b) => b.letters - a.letters) };
    },
  );

  http.get(
    "/v1/admin/dead-letters",
    {
      config: { access: "operator" },
      schema: {
        summary: "Dead letters, the oldest first.",
        querystring: Type.Object({ ...Filter, limit: Limit(500, 50), after: Type.Optional(CursorText) }),
        response: {
          200: Type.Object({ letters: Type.Array(DeadLetter), next: Type.Union([Type.String(), Type.Null()]) }),
        },
      },
    },
    async ({ query: { limit = 50, after, ...filter } }) => {
      const place = after === undefined ? undefined : placeOf(Place, after);
      const pages = await Promise.all(
        services
          .asked(filter.reader)
          .map(({ database }) => listLetters(database, filter, { after: place, limit: limit + 1 })),
      );
      const letters = pages.flat().sort(byAge);
      const page = letters.slice(0, limit);
      const last = page.at(-1);
      return { letters: page, next: last && letters.length > limit ? cursorText(placeIn(last)) : null };
    },
  );

  http.get(
    "/v1/admin/dead-letters/:reader/:eventId",
    {
      config: { access: "operator" },
      schema: { summary: "One dead letter, whole.", params: inPath, response: { 200: WholeLetter } },
    },
    async ({ params }) => {
      const { service } = services.ofReader(params.reader);
      const letter = await showLetter(service.database, params);
      if (!letter) throw refusal("LETTER_NOT_FOUND", `${params.reader} has no dead letter ${params.eventId}.`);
      return letter;
    },
  );

  http.put(
    "/v1/admin/dead-letters/:reader/:eventId/data",
    {
      config: { access: "operator", idempotent: true },
      schema: {
        summary: "Stores another payload, once it fits the schema of its type; tells what differs.",
        params: inPath,
        body: Type.Object({
          data: Type.Unknown(),
          reason: Reason,
          revision: Type.Optional(Count),
          dryRun: Type.Optional(Type.Boolean({ description: "Nothing is stored." })),
        }),
        response: {
          200: Type.Object({ stored: Type.Boolean(), revision: Count, difference: Type.Array(Change) }),
        },
      },
    },
    async (request, reply) => {
      const { params, body, person } = request;
      const { service, reader } = services.ofReader(params.reader);
      const answer = await idempotently(service.database, idempotencyOf(request), async (tx) => {
        const edit = { ...params, ...body, operator: person.id };
        const edited = orRefuse(await editLetter(tx, edit, (type) => reader.hears.get(type)?.definition));
        const { kind, revision, difference } = edited;
        return { status: 200, body: { stored: kind === "edited", revision, difference } };
      });
      return answered(reply, answer);
    },
  );

  http.post(
    "/v1/admin/dead-letters/:reader/:eventId/drop",
    {
      config: { access: "operator", idempotent: true },
      schema: {
        summary: "Gives the event up; what waits behind it goes on. The log of operations keeps it.",
        params: inPath,
        body: Type.Object({ reason: Reason }),
        response: { 200: Type.Object({ dropped: Type.Literal(true), freed: Type.Boolean() }) },
      },
    },
    async (request, reply) => {
      const { params, body, person } = request;
      const { service } = services.ofReader(params.reader);
      const answer = await idempotently(service.database, idempotencyOf(request), async (tx) => {
        const { freed } = orRefuse(await dropLetter(tx, { ...params, ...body, operator: person.id }));
        return { status: 200, body: { dropped: true as const, freed } };
      });
      if (!answer.replayed) telemetry.letterDropped({ reader: params.reader });
      return answered(reply, answer);
    },
  );

  http.post(
    "/v1/admin/dead-letters/:reader/:eventId/redrive",
    {
      config: { access: "operator", idempotent: true },
      schema: {
        summary: "Puts the event back in its place among its key's; its reader tries it at once.",
        params: inPath,
        body: Type.Object({ mode: Mode, reason: Type.Optional(Reason) }),
        response: {
          202: Type.Object({
            eventId: Type.String({ description: "Under which it is delivered." }),
            blocked: Type.Boolean({ description: "It waits behind another dead letter of its key." }),
          }),
        },
      },
    },
    async (request, reply) => {
      const { params, body, person } = request;
      const { service } = services.ofReader(params.reader);
      const answer = await idempotently(service.database, idempotencyOf(request), async (tx) => {
        const redriven = orRefuse(await redriveLetter(tx, { ...params, ...body, operator: person.id }));
        return { status: 202, body: { eventId: redriven.eventId, blocked: redriven.blocked } };
      });
      if (!answer.replayed) telemetry.lettersRedriven({ reader: params.reader, mode: body.mode });
      return answered(reply, answer);
    },
  );
}

const placeIn = ({ diedAt, reader, eventId }: Letter) => ({ diedAt, reader, eventId });

const byAge = (a: Letter, b: Letter): number =>
  compare(a.diedAt, b.diedAt) || compare(a.reader, b.reader) || compare(a.eventId, b.eventId);
const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
