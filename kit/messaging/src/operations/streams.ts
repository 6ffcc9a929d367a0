/** The streams of a service's readers as operators see them: how far behind, in whose hands, paused or not. */

import {
  array,
  as,
  bigint,
  boolean,
  composedSql,
  identifier,
  instant,
  integer,
  nullable,
  type Queryable,
  sql,
  type Transaction,
  text,
} from "@onsale/postgres";
import type { Reader } from "../consumers/readers.ts";
import type { Lane } from "../events/event.ts";
import type { FeedName } from "../telemetry.ts";
import type { By } from "./dead-letters.ts";
import { logOperation } from "./operation-log.ts";
import { type Refusal, refused } from "./refusal.ts";

/** One stream of a reader, as it stands. */
export interface StreamState extends FeedName {
  /** Into how many streams its lane is divided. */
  readonly slots: number;
  /** The process that reads it; null when nobody does. */
  readonly owner: string | null;
  /** Whether its owner's lease is good. */
  readonly isOwned: boolean;
  /** Everything that the source committed before this moment is applied; null before the first end of a window. */
  readonly watermark: string | null;
  /** Seconds by which the watermark lies back. */
  readonly watermarkAgeS: number | null;
  readonly pausedAt: string | null;
  readonly pausedBy: string | null;
  readonly pauseReason: string | null;
}

/**
 * A stream and what it has not applied of its source's outbox; null where that lies in another database. Where another log is
 * read, what was told since the watermark counts, be it on its way there or applied a moment ago; what was told before it and is
 * committed only now does not, for the second until the watermark has moved.
 */
export interface StreamLag extends StreamState {
  readonly behind: number | null;
  /** There are more than were counted. */
  readonly isBehindMore: boolean;
  readonly oldestUnreadAt: string | null;
  readonly oldestUnreadAgeS: number | null;
}

/** What is parked and dead of one reader. */
export interface ReaderLag {
  readonly reader: string;
  /** `other`: none of the consumers, such as a relay that fills another log. */
  readonly kind: Reader["kind"] | "other";
  readonly consumers: string[];
  readonly parkedKeys: number;
  /** Of these, those that wait behind a dead letter. */
  readonly deadKeys: number;
  readonly waitingEvents: number;
  readonly deadLetters: number;
  readonly streams: StreamLag[];
}

const statesSql = sql("messaging.stream-states", {
  takes: [],
  gives: {
    reader: text,
    source: text,
    lane: as<Lane>(text),
    slot: integer,
    slots: integer,
    owner: nullable(text),
    isOwned: boolean,
    watermark: nullable(instant),
    now: instant,
    pausedAt: nullable(instant),
    pausedBy: nullable(text),
    pauseReason: nullable(text),
    at: bigint,
    readsOutbox: boolean,
    isHere: boolean,
  },
})`
  select reader, source, lane, slot, slots, owner, lease_until > clock_timestamp() as "isOwned",
    nullif(watermark, '-infinity') as watermark, clock_timestamp() as now, paused_at as "pausedAt", paused_by as "pausedBy",
    pause_reason as "pauseReason", greatest(at, high) as at, snap::text <> '3:3:' or kafka is null as "readsOutbox",
    to_regclass(format('%I.outbox_%s', source, lane)) is not null as "isHere"
  from reader_cursor order by reader, source, lane desc, slot`;

const parkedSql = sql("messaging.parked-by-reader", {
  takes: [],
  gives: { reader: text, parkedKeys: bigint, deadKeys: bigint, waitingEvents: bigint, deadLetters: bigint },
})`
  with reader(reader) as (
    select reader from parked_key union select reader from dead_letter
  )
  select reader.reader,
    (select count(*) from parked_key as parked where parked.reader = reader.reader) as "parkedKeys",
    (select count(*) from parked_key as parked where parked.reader = reader.reader and state = 'dead') as "deadKeys",
    (select count(*) from parked_event as waiting where waiting.reader = reader.reader) as "waitingEvents",
    (select count(*) from dead_letter as letter where letter.reader = reader.reader) as "deadLetters"
  from reader`;

/** Events counted as unread at most, and positions looked at: a look at the lag must not be what makes it. */
const countedAtMost = 10_000;
const lookedAtMost = 1_000_000;

const unreadSql = (source: string, lane: Lane) =>
  composedSql(`messaging.unread-${source}-${lane}`, {
    takes: [bigint, nullable(array(text)), integer, integer, bigint, bigint],
    gives: { behind: bigint, oldest: nullable(instant) },
    text: `
      select count(*) as behind, min(created_at) as oldest
      from (
        select created_at from ${identifier(source)}.outbox_${lane}
        where position > $1 and position <= $1 + $6 and ($2::text[] is null or type = any($2))
          and ($3 = 1 or slot_of(aggregateid, $3) = $4)
        order by position limit $5
      ) as unread`,
  });

/** Positions that are looked at first: at rest the latest of them was told before the watermark, and nobody looks at more. */
const glance = 100;

const toldSinceSql = (source: string, lane: Lane) =>
  composedSql(`messaging.told-since-watermark-${source}-${lane}`, {
    takes: [nullable(instant), nullable(array(text)), integer, integer, bigint],
    gives: { behind: bigint, oldest: nullable(instant), isAll: boolean },
    text: `
      select count(*) filter (where own) as behind, min(created_at) filter (where own) as oldest,
        coalesce(min(created_at) <= $1, false) or coalesce(max(head) <= $5, true) as "isAll"
      from (
        select created_at, head, coalesce(created_at > $1, true) and ($2::text[] is null or type = any($2))
          and ($3 = 1 or slot_of(aggregateid, $3) = $4) as own
        from (select max(position) as head from ${identifier(source)}.outbox_${lane}) as latest
        join ${identifier(source)}.outbox_${lane} on position > head - $5
      ) as told`,
  });

/** Every reader of a service, with its streams, and how far they are behind. */
export async function readerLags(queryable: Queryable, readers: readonly Reader[]): Promise<ReaderLag[]> {
  const [states, parked] = await Promise.all([queryable.query(statesSql, []), queryable.query(parkedSql, [])]);
  const parkedOf = new Map(parked.map((row) => [row.reader, row]));
  const known = new Map(readers.map((reader) => [reader.name, reader]));
  const names = new Set([...known.keys(), ...states.map(({ reader }) => reader)]);
  return await Promise.all(
    [...names].map(async (name) => {
      const { kind = "other", consumers = [], hears } = known.get(name) ?? {};
      const { parkedKeys = 0, deadKeys = 0, waitingEvents = 0, deadLetters = 0 } = parkedOf.get(name) ?? {};
      const own = states.filter(({ reader }) => reader === name);
      const streams = await Promise.all(own.map((state) => lagOf(queryable, state, hears && [...hears.keys()])));
      return {
        reader: name,
        kind,
        consumers: [...consumers],
        parkedKeys,
        deadKeys,
        waitingEvents,
        deadLetters,
        streams,
      };
    }),
  );
}

interface StateRow extends Omit<StreamState, "watermarkAgeS"> {
  readonly now: string;
  /** The last position that was read. */
  readonly at: number;
  readonly readsOutbox: boolean;
  /** Whether the outbox lies in this database. */
  readonly isHere: boolean;
}

async function lagOf(queryable: Queryable, row: StateRow, types: readonly string[] | undefined): Promise<StreamLag> {
  const { now, at, readsOutbox, isHere, ...state } = row;
  const unread = isHere ? await unreadOf(queryable, row, types ?? null) : undefined;
  const oldestUnreadAt = unread?.oldest ?? null;
  return {
    ...state,
    watermarkAgeS: secondsBetween(state.watermark, now),
    behind: unread ? Math.min(unread.behind, countedAtMost) : null,
    isBehindMore: (unread?.behind ?? 0) > countedAtMost,
    oldestUnreadAt,
    oldestUnreadAgeS: secondsBetween(oldestUnreadAt, now),
  };
}

async function unreadOf(
  queryable: Queryable,
  { source, lane, slot, slots, at, watermark, readsOutbox }: StateRow,
  types: readonly string[] | null,
): Promise<{ readonly behind: number; readonly oldest: string | null }> {
  const part = [types, slots, slot] as const;
  if (readsOutbox) {
    const [unread] = await queryable.query(unreadSql(source, lane), [at, ...part, countedAtMost + 1, lookedAtMost]);
    return unread ?? nothing;
  }
  for (let span = glance; ; span *= 10) {
    const [told] = await queryable.query(toldSinceSql(source, lane), [watermark, ...part, span]);
    if (!told || told.isAll || told.behind > countedAtMost || span >= lookedAtMost) return told ?? nothing;
  }
}

const nothing = { behind: 0, oldest: null };

const secondsBetween = (earlier: string | null, later: string): number | null =>
  earlier === null ? null : Math.max(0, (Date.parse(later) - Date.parse(earlier)) / 1_000);

const hasStreamsSql = sql("messaging.has-streams", { takes: [text, text], gives: { has: boolean } })`
  select exists (select from reader_cursor where reader = $1 and source = $2) as has`;

/** Whether somebody reads, or has read, a source under this name in this schema. */
export async function hasStreams(queryable: Queryable, reader: string, source: string): Promise<boolean> {
  const [row] = await queryable.query(hasStreamsSql, [reader, source]);
  return row?.has ?? false;
}

/** Streams of one reader: all that fit what is given. */
export interface StreamFilter {
  readonly reader: string;
  readonly source?: string | undefined;
  readonly lane?: Lane | undefined;
  readonly slot?: number | undefined;
}

const filterColumns = [text, nullable(text), nullable(text), nullable(integer)] as const;
const nameColumns = { reader: text, source: text, lane: as<Lane>(text), slot: integer };

const pauseSql = sql("messaging.pause-streams", {
  takes: [...filterColumns, text, nullable(text)],
  gives: nameColumns,
})`
  update reader_cursor
  set paused_at = coalesce(paused_at, clock_timestamp()), paused_by = coalesce(paused_by, $5),
    pause_reason = coalesce(pause_reason, $6)
  where reader = $1 and ($2::text is null or source = $2) and ($3::text is null or lane = $3) and ($4::int is null or slot = $4)
  returning reader, source, lane, slot`;

const resumeSql = sql("messaging.resume-streams", { takes: filterColumns, gives: nameColumns })`
  update reader_cursor set paused_at = null, paused_by = null, pause_reason = null
  where reader = $1 and ($2::text is null or source = $2) and ($3::text is null or lane = $3) and ($4::int is null or slot = $4)
  returning reader, source, lane, slot`;

const parametersOf = ({ reader, source, lane, slot }: StreamFilter) =>
  [reader, source ?? null, lane ?? null, slot ?? null] as const;

export type Switched =
  | { readonly kind: "paused" | "resumed"; readonly streams: readonly FeedName[] }
  | Refusal<"STREAM_NOT_FOUND">;

/**
 * Pauses streams: within a second their owners finish what they have under way and give their leases back. Nothing is
 * lost; the outbox keeps what is not read.
 */
export async function pauseStreams(tx: Transaction, filter: StreamFilter & By): Promise<Switched> {
  const streams = await tx.query(pauseSql, [...parametersOf(filter), filter.operator, filter.reason ?? null]);
  return await switched(tx, "paused", streams, filter);
}

/** Lets paused streams be read again, from where they stopped. */
export async function resumeStreams(tx: Transaction, filter: StreamFilter & By): Promise<Switched> {
  return await switched(tx, "resumed", await tx.query(resumeSql, parametersOf(filter)), filter);
}

async function switched(
  tx: Transaction,
  kind: "paused" | "resumed",
  streams: readonly FeedName[],
  filter: StreamFilter & By,
): Promise<Switched> {
  if (streams.length === 0) return streamNotFound(filter);
  const { operator, reader, reason } = filter;
  const operation = kind === "paused" ? "streams.pause" : "streams.resume";
  await logOperation(tx, { operation, reader, target: streamText(filter), operator, reason, after: streams });
  return { kind, streams };
}

export const streamNotFound = (filter: StreamFilter) =>
  refused("STREAM_NOT_FOUND", `Nothing is read as ${streamText(filter)}.`);

/** `reader`, or as much of `reader/source/lane/slot` as is given. */
export const streamText = ({ reader, source, lane, slot }: StreamFilter): string =>
  [reader, source ?? "*", lane ?? "*", slot ?? "*"].join("/").replace(/(\/\*)+$/, "");
