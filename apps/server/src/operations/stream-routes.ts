import { answered, type HttpServer, idempotencyOf, idempotently } from "@onsale/http";
import { KafkaUnreachableError } from "@onsale/messaging/kafka";
import {
  heardAhead,
  latestOperations,
  outboxLags,
  pauseStreams,
  readerLags,
  resetReader,
  resumeStreams,
  retireReader,
} from "@onsale/messaging/operations";
import { Type } from "typebox";
import { CursorText, cursorText, placeOf } from "./cursor.ts";
import { orRefuse, refusal } from "./errors.ts";
import type { OperatedServices } from "./operated-services.ts";
import {
  Count,
  Lane,
  Limit,
  LoggedOperation,
  Moment,
  NamedMoment,
  NullableNumber,
  NullableText,
  ReaderName,
  Reason,
} from "./schemas.ts";

const SourceName = Type.String({ minLength: 1, maxLength: 63, pattern: "^[a-z][a-z0-9_-]*$" });
const StreamName = Type.Object({ reader: ReaderName, source: SourceName, lane: Lane, slot: Count });

const Stream = Type.Object({
  reader: ReaderName,
  source: SourceName,
  lane: Lane,
  slot: Count,
  slots: Count,
  owner: NullableText,
  isOwned: Type.Boolean({ description: "Whether its owner's lease is good." }),
  watermark: NullableText,
  watermarkAgeS: NullableNumber,
  pausedAt: NullableText,
  pausedBy: NullableText,
  pauseReason: NullableText,
  behind: Type.Union([Type.Integer(), Type.Null()], {
    description:
      "Events of its types that it has not applied, counted up to 10,000; on another log than the outbox all that was told since the watermark; null where the outbox lies in another database.",
  }),
  isBehindMore: Type.Boolean(),
  oldestUnreadAt: NullableText,
  oldestUnreadAgeS: NullableNumber,
});

const ReaderState = Type.Object({
  service: Type.String(),
  reader: ReaderName,
  kind: Type.Union([Type.Literal("batch"), Type.Literal("each"), Type.Literal("other")]),
  consumers: Type.Array(Type.String()),
  parkedKeys: Count,
  deadKeys: Count,
  waitingEvents: Count,
  deadLetters: Count,
  streams: Type.Array(Stream),
});

const Outbox = Type.Object({
  service: Type.String(),
  lane: Lane,
  head: Count,
  headAt: NullableText,
  partitions: Type.Object({ ready: Count, sealed: Count, retired: Count }),
  readers: Type.Array(
    Type.Object({
      reader: Type.String(),
      high: Count,
      positionsBehind: Count,
      reportedAt: Moment,
      reportAgeS: Type.Number(),
    }),
  ),
  slots: Type.Array(
    Type.Object({
      slot: Type.String(),
      isRead: Type.Boolean(),
      isLost: Type.Boolean(),
      retainedBytes: Type.Union([Type.Integer(), Type.Null()]),
      boundBytes: Type.Union([Type.Integer(), Type.Null()]),
    }),
  ),
  alarms: Type.Array(Type.String()),
});

const AheadPlace = Type.Object({ aggregate: Type.String(), key: Type.String() });
const Ahead = Type.Object({
  since: Type.Union([Moment, Type.Null()], {
    description: "What was told before it the outbox may have let go, so it is not compared; null: everything is.",
  }),
  keys: Type.Array(
    Type.Object({
      aggregate: Type.String(),
      key: Type.String(),
      heard: Count,
      heardToldAt: Moment,
      told: Type.Union([Count, Type.Null()], {
        description: "Null: of this life of the source there is nothing of the key.",
      }),
    }),
  ),
  next: NullableText,
});

const inPath = Type.Object({ reader: ReaderName });
/** More than a lane is ever divided into. */
const Slot = Type.Integer({ minimum: 0, maximum: 10_000 });
const Which = {
  source: Type.Optional(SourceName),
  lane: Type.Optional(Lane),
  slot: Type.Optional(Slot),
  reason: Reason,
};
const Switched = Type.Object({ streams: Type.Array(StreamName) });

/** Readers and outboxes: how far behind, held, let go, taken back; and what was done by hand. */
export function streamRoutes(http: HttpServer, services: OperatedServices): void {
  http.get(
    "/v1/admin/consumers",
    {
      config: { access: "operator" },
      schema: {
        summary: "Every reader with its streams: behind, oldest unread, owner, parked, dead, paused.",
        querystring: Type.Object({ reader: Type.Optional(ReaderName) }),
        response: { 200: Type.Object({ readers: Type.Array(ReaderState) }) },
      },
    },
    async ({ query }) => {
      const lags = await Promise.all(
        services
          .asked(query.reader)
          .map(async ({ name, database, readers }) =>
            (await readerLags(database, readers)).map((lag) => ({ service: name, ...lag })),
          ),
      );
      return { readers: lags.flat().filter(({ reader }) => query.reader === undefined || reader === query.reader) };
    },
  );

  http.get(
    "/v1/admin/consumers/:reader/ahead",
    {
      config: { access: "operator" },
      schema: {
        summary:
          "Keys of which a reader has heard more than their source has told, as far as its outbox reaches back: it was restored, or somebody told something in its name.",
        params: inPath,
        querystring: Type.Object({
          source: SourceName,
          limit: Limit(500, 50),
          after: Type.Optional(CursorText),
        }),
        response: { 200: Ahead },
      },
    },
    async ({ params, query: { source, limit = 50, after } }) => {
      const { service, reader } = services.ofReader(params.reader);
      const place = after === undefined ? undefined : placeOf(AheadPlace, after);
      const compared = orRefuse(
        await heardAhead(service.database, { reader, source }, { after: place, limit: limit + 1 }),
      );
      const keys = compared.keys.slice(0, limit);
      const last = compared.keys.length > limit ? keys.at(-1) : undefined;
      return {
        since: compared.since,
        keys,
        next: last ? cursorText({ aggregate: last.aggregate, key: last.key }) : null,
      };
    },
  );

  http.get(
    "/v1/admin/outboxes",
    {
      config: { access: "operator" },
      schema: {
        summary: "Every lane of every outbox: head, partitions, readers, alarms.",
        response: { 200: Type.Object({ outboxes: Type.Array(Outbox) }) },
      },
    },
    async () => {
      const lags = await Promise.all(
        services.all.map(async ({ name, database }) =>
          (await outboxLags(database)).map((lag) => ({ service: name, ...lag })),
        ),
      );
      return { outboxes: lags.flat() };
    },
  );

  for (const [verb, work, summary] of [
    ["pause", pauseStreams, "Within a second nobody reads these streams; nothing is lost."],
    ["resume", resumeStreams, "Paused streams are read again, from where they stopped."],
  ] as const) {
    http.post(
      `/v1/admin/consumers/:reader/${verb}`,
      {
        config: { access: "operator", idempotent: true },
        schema: { summary, params: inPath, body: Type.Object(Which), response: { 200: Switched } },
      },
      async (request, reply) => {
        const { params, body, person } = request;
        const { service } = services.ofReader(params.reader);
        const answer = await idempotently(service.database, idempotencyOf(request), async (tx) => {
          const { streams } = orRefuse(await work(tx, { ...params, ...body, operator: person.id }));
          return { status: 200, body: { streams: [...streams] } };
        });
        return answered(reply, answer);
      },
    );
  }

  http.post(
    "/v1/admin/consumers/:reader/reset",
    {
      config: { access: "operator", idempotent: true },
      schema: {
        summary:
          "Takes a reader back over one source, so that it is given again what it had; counts first with dryRun.",
        params: inPath,
        body: Type.Object({
          source: SourceName,
          toTime: Type.Optional({
            ...NamedMoment,
            description: "RFC 3339 in UTC; absent: the beginning of what the outbox still has.",
          }),
          again: Type.Optional(
            Type.Boolean({
              description: "What it had takes effect once more. Default false: it is given and ignored.",
            }),
          ),
          dryRun: Type.Optional(Type.Boolean()),
          reason: Reason,
        }),
        response: {
          200: Type.Object({
            reset: Type.Boolean(),
            streams: Type.Array(
              Type.Object({ lane: Lane, slot: Count, from: Count, to: Count, events: Count, keys: Count }),
            ),
          }),
        },
      },
    },
    async (request, reply) => {
      const { params, body, person } = request;
      const { service, reader } = services.ofReader(params.reader);
      const topics = await orUnreachable(service.topicPlaces?.(body.source, body.toTime));
      const answer = await idempotently(service.database, idempotencyOf(request), async (tx) => {
        const { again = false, dryRun = false, ...rest } = body;
        const wish = { ...rest, reader, again, dryRun, operator: person.id, ...(topics && { topics }) };
        const outcome = orRefuse(await resetReader(tx, wish));
        return { status: 200, body: { reset: outcome.kind === "reset", streams: [...outcome.streams] } };
      });
      return answered(reply, answer);
    },
  );

  http.post(
    "/v1/admin/consumers/:reader/retire",
    {
      config: { access: "operator", idempotent: true },
      schema: {
        summary:
          "Takes a reader that is gone for good off one source, which then keeps nothing for it; counts first with dryRun.",
        params: inPath,
        body: Type.Object({ source: SourceName, dryRun: Type.Optional(Type.Boolean()), reason: Reason }),
        response: {
          200: Type.Object({
            retired: Type.Boolean(),
            streams: Type.Array(Type.Object({ lane: Lane, slot: Count, replicationSlot: NullableText })),
            waitingEvents: Count,
            deadLetters: Count,
          }),
        },
      },
    },
    async (request, reply) => {
      const { params, body, person } = request;
      const { database } = await services.ofFormerReader(params.reader, body.source);
      const answer = await idempotently(database, idempotencyOf(request), async (tx) => {
        const wish = { ...params, ...body, dryRun: body.dryRun ?? false, operator: person.id };
        const { kind, streams, ...given } = orRefuse(await retireReader(database, tx, wish));
        return { status: 200, body: { retired: kind === "retired", streams: [...streams], ...given } };
      });
      return answered(reply, answer);
    },
  );

  http.get(
    "/v1/admin/operations",
    {
      config: { access: "operator" },
      schema: {
        summary: "What was done by hand, the latest first.",
        querystring: Type.Object({ limit: Limit(500, 50) }),
        response: { 200: Type.Object({ operations: Type.Array(LoggedOperation) }) },
      },
    },
    async ({ query: { limit = 50 } }) => {
      const logs = await Promise.all(services.all.map(({ database }) => latestOperations(database, { limit })));
      const operations = logs.flat().sort((a, b) => (a.at < b.at ? 1 : -1));
      return { operations: operations.slice(0, limit) };
    },
  );
}

async function orUnreachable<Found>(asked: Promise<Found> | undefined): Promise<Found | undefined> {
  try {
    return await asked;
  } catch (error) {
    if (error instanceof KafkaUnreachableError) throw refusal("KAFKA_UNREACHABLE", error.message);
    throw error;
  }
}
