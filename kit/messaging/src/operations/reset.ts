/** Takes a reader of a source back to an earlier place, so that it is given again what it had. */

import {
  array,
  as,
  bigint,
  boolean,
  composedSql,
  identifier,
  instant,
  integer,
  json,
  nullable,
  sql,
  type Transaction,
  text,
  voids,
} from "@onsale/postgres";
import type { Reader } from "../consumers/readers.ts";
import type { Lane } from "../events/event.ts";
import type { KafkaCursor, TopicPositions } from "../kafka/positions.ts";
import type { By } from "./dead-letters.ts";
import { logOperation } from "./operation-log.ts";
import { type Refusal, refused } from "./refusal.ts";
import { streamNotFound, streamText } from "./streams.ts";

export interface Reset extends By {
  readonly reader: Reader;
  readonly source: string;
  /** Absent: the beginning of what the outbox still has. RFC 3339. */
  readonly toTime?: string | undefined;
  /**
   * Also forgets in the inbox that it had these events, so that they take effect once more. Without it they are given and
   * ignored, which mends a reader whose cursor had run ahead of its effects.
   */
  readonly again: boolean;
  readonly dryRun: boolean;
  /** For a reader of Kafka, by lane: where its topics stood at `toTime`, as `topicPlaces` finds them. */
  readonly topics?: Readonly<Partial<Record<Lane, TopicPositions>>>;
}

/** What a reset does to one stream. */
export interface StreamReset {
  readonly lane: Lane;
  readonly slot: number;
  /** Read up to this position of the outbox before, and after; of a topic so many records, of all its partitions together. */
  readonly from: number;
  readonly to: number;
  /** Events that will be given again. */
  readonly events: number;
  readonly keys: number;
}

export type ResetOutcome =
  | { readonly kind: "reset" | "would-be-reset"; readonly streams: readonly StreamReset[] }
  | Refusal<"STREAM_NOT_FOUND" | "TOPIC_NOT_FOUND" | "TOO_MANY_EVENTS">;

/**
 * Events of a stream that may take effect once more in one reset: their inbox rows change in one transaction, which holds
 * up the stream for some seconds. More is done in parts, from the latest back.
 */
const againAtMost = 100_000;

const lockStreamsSql = sql("messaging.lock-streams", {
  takes: [text, text],
  gives: {
    lane: as<Lane>(text),
    slot: integer,
    slots: integer,
    high: bigint,
    at: bigint,
    readsLog: boolean,
    kafka: nullable(json<KafkaCursor>()),
  },
})`
  select lane, slot, slots, high, at, wal_lsn is not null as "readsLog", kafka
  from reader_cursor where reader = $1 and source = $2 order by lane, slot for update`;

const placeSql = (source: string, lane: Lane) =>
  composedSql(`messaging.reset-place-${source}-${lane}`, {
    takes: [nullable(instant), bigint, array(text), integer, integer],
    gives: { first: nullable(bigint), events: bigint, keys: bigint },
    text: `
      select min(position) as first, count(*) as events, count(distinct (aggregatetype, aggregateid)) as keys
      from ${identifier(source)}.outbox_${lane}
      where position <= $2 and ($1::timestamptz is null or created_at >= $1) and type = any($3)
        and ($4 = 1 or slot_of(aggregateid, $4) = $5)`,
  });

const forgetSql = (source: string, lane: Lane) =>
  composedSql(`messaging.forget-${source}-${lane}`, {
    takes: [text, bigint, bigint, array(text), integer, integer],
    gives: {},
    text: `
      update inbox set sequence = least(inbox.sequence, again.first - 1), life = 0
      from (
        select aggregatetype as aggregate, aggregateid as key, min(sequence) as first
        from ${identifier(source)}.outbox_${lane}
        where position > $2 and position <= $3 and type = any($4) and ($5 = 1 or slot_of(aggregateid, $5) = $6)
        group by aggregatetype, aggregateid
      ) as again
      where inbox.reader = $1 and inbox.aggregate = again.aggregate and inbox.key = again.key`,
  });

// The snapshot stays: it says which transactions were open, so that one that took its position before the new place and
// commits behind it is read, too. Whoever has the lease is fenced by the epoch.
const moveBackSql = sql("messaging.move-cursor-back", { takes: [text, text, text, integer, bigint], gives: {} })`
  update reader_cursor
  set high = $5, at = 0, next_snap = null, next_high = null, next_taken_at = null, wal_lsn = null, wal_origin = null,
    watermark = '-infinity',
    epoch = epoch + 1, owner = null, lease_until = '-infinity'
  where reader = $1 and source = $2 and lane = $3 and slot = $4`;

const moveBackInTopicSql = sql("messaging.move-cursor-back-in-topic", {
  takes: [text, text, text, integer, json<KafkaCursor>()],
  gives: {},
})`
  update reader_cursor
  set kafka = $5, watermark = '-infinity', epoch = epoch + 1, owner = null, lease_until = '-infinity'
  where reader = $1 and source = $2 and lane = $3 and slot = $4`;

/** In the same transaction, so that the outbox lets nothing go that is to be read again. */
const reportBackSql = (source: string) =>
  composedSql(`messaging.report-back-to-${source}`, {
    takes: [text, text, text, integer],
    gives: { outbox_report: voids },
    text: `
      select ${identifier(source)}.outbox_report(case slots when 1 then reader else reader || '#' || slot end, lane, snap, high)
      from reader_cursor where reader = $1 and source = $2 and lane = $3 and slot = $4`,
  });

/** Takes every stream of a reader over one source back; with `dryRun` only tells what would be given again. */
export async function resetReader(tx: Transaction, reset: Reset): Promise<ResetOutcome> {
  const { reader, source, again, dryRun, operator, reason, toTime } = reset;
  const streams = await tx.query(lockStreamsSql, [reader.name, source]);
  if (streams.length === 0) return streamNotFound({ reader: reader.name, source });
  const lost = streams.find(({ lane, kafka }) => kafka?.topic !== undefined && reset.topics?.[lane] === undefined);
  if (lost)
    return refused("TOPIC_NOT_FOUND", `${reader.name} reads ${source}/${lost.lane} from a topic that isn't there.`);
  const ways: WayBack[] = [];
  for (const stream of streams) ways.push(await wayBack(tx, reset, stream));
  const resets = ways.map(({ told }) => told);
  const tooMany = again && resets.find(({ events }) => events > againAtMost);
  if (tooMany)
    return refused("TOO_MANY_EVENTS", `${tooMany.events} events would take effect again; ${againAtMost} are allowed.`);
  if (dryRun) return { kind: "would-be-reset", streams: resets };
  for (const way of ways) await goBack(tx, reset, way);
  const target = streamText({ reader: reader.name, source });
  const after = { toTime, again, streams: resets };
  await logOperation(tx, { operation: "consumer.reset", reader: reader.name, target, operator, reason, after });
  return { kind: "reset", streams: resets };
}

interface Stream {
  readonly lane: Lane;
  readonly slot: number;
  readonly slots: number;
  readonly high: number;
  readonly readsLog: boolean;
  /** Empty or null before it first met its topic; null on an outbox. */
  readonly kafka: KafkaCursor | null;
}

/** What is done to one stream. */
interface WayBack {
  readonly stream: Stream;
  readonly told: StreamReset;
  /**
   * In the outbox the last position that it may have read: who reads the write-ahead log is beyond its position, nobody can say
   * how far, and who reads a topic has none.
   */
  readonly readTo: number;
  /** In the outbox the position before the first event that is given again. */
  readonly before: number;
  /** Where it goes on in its topic; absent on an outbox. */
  readonly topic?: KafkaCursor;
}

async function wayBack(tx: Transaction, reset: Reset, stream: Stream): Promise<WayBack> {
  const { lane, slot, slots, high } = stream;
  const kafka = reset.topics ? (stream.kafka ?? {}) : undefined;
  const readTo = kafka || stream.readsLog ? Number.MAX_SAFE_INTEGER : high;
  const [place] = await tx.query(placeSql(reset.source, lane), [
    reset.toTime ?? null,
    readTo,
    typesOf(reset),
    slots,
    slot,
  ]);
  const before = place?.first == null ? readTo : place.first - 1;
  const again = { events: place?.events ?? 0, keys: place?.keys ?? 0 };
  if (!kafka) return { stream, told: { lane, slot, from: high, to: Math.min(high, before), ...again }, readTo, before };
  const topic = earlier(kafka, reset.topics?.[lane]);
  const told = { lane, slot, from: recordsBefore(kafka), to: recordsBefore(topic), ...again };
  return { stream, told, readTo, before, topic };
}

async function goBack(tx: Transaction, { reader, source, again }: Reset, way: WayBack): Promise<void> {
  const { stream, told, readTo, before, topic } = way;
  const { lane, slot, slots } = stream;
  const types = typesOf({ reader, source });
  if (again) await tx.execute(forgetSql(source, lane), [reader.name, before, readTo, types, slots, slot]);
  if (topic) {
    await tx.execute(moveBackInTopicSql, [reader.name, source, lane, slot, topic]);
  } else {
    await tx.execute(moveBackSql, [reader.name, source, lane, slot, told.to]);
    await tx.execute(reportBackSql(source), [reader.name, source, lane, slot]);
  }
}

/** The earlier place in each partition that is read. A topic that was replaced is read from its beginning as it is. */
function earlier(read: KafkaCursor, then: TopicPositions | undefined): KafkaCursor {
  if (then?.topic !== read.topic || read.at === undefined) return read;
  const places = Object.entries(read.at).map(([partition, place]) => {
    const earlierPlace = then?.at[partition];
    return [partition, earlierPlace && earlierPlace.offset < place.offset ? earlierPlace : place] as const;
  });
  return { ...read, at: Object.fromEntries(places) };
}

const recordsBefore = ({ at = {} }: KafkaCursor): number =>
  Object.values(at).reduce((records, { offset }) => records + offset, 0);

const typesOf = ({ reader, source }: Pick<Reset, "reader" | "source">): string[] =>
  [...reader.hears].filter(([, heard]) => heard.source === source).map(([type]) => type);
