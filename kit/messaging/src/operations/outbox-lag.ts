/** An outbox as operators see it: where its head is, which partitions lie ready, and who has not read what. */

import { bigint, boolean, instant, integer, nullable, type Queryable, sql, text } from "@onsale/postgres";
import { type Lane, lanes } from "../events/event.ts";
import { slotPrefix } from "../wal/replication-slot.ts";

export interface OutboxLag {
  readonly lane: Lane;
  /** The last position that is committed; 0 while nothing is there. */
  readonly head: number;
  readonly headAt: string | null;
  readonly partitions: {
    /** Wholly before the head: not written to yet. */
    readonly ready: number;
    /** Full, and waiting for readers or for their age. */
    readonly sealed: number;
    /** Emptied. */
    readonly retired: number;
  };
  /** Registered readers, the slowest first. */
  readonly readers: OutboxReaderLag[];
  /** Replication slots of readers that read the lane from the write-ahead log. */
  readonly slots: OutboxSlot[];
  /** What a person should look at, one sentence each. */
  readonly alarms: string[];
}

export interface OutboxReaderLag {
  readonly reader: string;
  /** The position up to which it says it has read. */
  readonly high: number;
  /** Positions from there to the head; some may be of types that it does not hear. */
  readonly positionsBehind: number;
  readonly reportedAt: string;
  readonly reportAgeS: number;
}

export interface OutboxSlot {
  readonly slot: string;
  readonly isRead: boolean;
  /** PostgreSQL may have removed what its reader has not read; the table serves then. */
  readonly isLost: boolean;
  /** Of the write-ahead log, kept for this slot; null when it is lost. */
  readonly retainedBytes: number | null;
  /** At which it is lost (`max_slot_wal_keep_size`); null when there is no bound but the disk. */
  readonly boundBytes: number | null;
}

/** Log that a slot may keep without a bound before a person should look: a tenth of a small disk. */
const muchLogBytes = 2 ** 30;

/** Of the eight partitions that are made ahead, half: less means that whoever makes them doesn't. */
const fewPartitions = 4;

/** Readers report twice a minute. One that was silent for ten reports holds back partitions and is not just busy. */
const awayAfterS = 300;

const head = { head: nullable(bigint), headAt: nullable(instant), now: instant };

const headOnlineSql = sql("messaging.outbox-head-online", { takes: [], gives: head })`
  select position as head, created_at as "headAt", clock_timestamp() as now
  from (select 1) as always left join (
    select position, created_at from outbox_online order by position desc limit 1
  ) as last on true`;

const headBulkSql = sql("messaging.outbox-head-bulk", { takes: [], gives: head })`
  select position as head, created_at as "headAt", clock_timestamp() as now
  from (select 1) as always left join (
    select position, created_at from outbox_bulk order by position desc limit 1
  ) as last on true`;

const headSql = { online: headOnlineSql, bulk: headBulkSql };

const partitionsSql = sql("messaging.outbox-partitions", {
  takes: [text, bigint],
  gives: { ready: integer, sealed: integer, retired: integer },
})`
  select count(*) filter (where truncated_at is null and seal is null and first_position > $2)::int as ready,
    count(*) filter (where truncated_at is null and seal is not null)::int as sealed,
    count(*) filter (where truncated_at is not null)::int as retired
  from outbox_partition where lane = $1`;

const readersSql = sql("messaging.outbox-readers", {
  takes: [text],
  gives: { reader: text, high: bigint, reportedAt: instant },
})`
  select reader, high, reported_at as "reportedAt" from outbox_reader where lane = $1 order by high, reader`;

// By its name a slot tells whose it is: `slotNameOf`, which has the lane at its end unless that is cut off.
const slotsSql = sql("messaging.outbox-slots", {
  takes: [text, text],
  gives: {
    slot: text,
    isRead: boolean,
    isLost: boolean,
    retainedBytes: nullable(bigint),
    boundBytes: nullable(bigint),
  },
})`
  select slot_name::text as slot, active as "isRead",
    coalesce(wal_status, 'lost') = 'lost' or invalidation_reason is not null as "isLost",
    case when pg_is_in_recovery() then null else pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)::bigint end as "retainedBytes",
    nullif(pg_size_bytes(current_setting('max_slot_wal_keep_size')), -1) as "boundBytes"
  from pg_replication_slots
  where database = current_database() and starts_with(slot_name, $1)
    and slot_name ~ (regexp_replace(lower(current_schema()), '[^a-z0-9]+', '_', 'g') || '_' || $2 || '$')
  order by restart_lsn nulls first, slot_name`;

/** Both lanes of the service's own outbox. */
export const outboxLags = (queryable: Queryable): Promise<OutboxLag[]> =>
  Promise.all(lanes.map((lane) => outboxLag(queryable, lane)));

async function outboxLag(queryable: Queryable, lane: Lane): Promise<OutboxLag> {
  const [[last], rows, slots] = await Promise.all([
    queryable.query(headSql[lane], []),
    queryable.query(readersSql, [lane]),
    queryable.query(slotsSql, [slotPrefix, lane]),
  ]);
  if (!last) throw new Error(`The head of the ${lane} lane gave no row.`);
  const at = last.head ?? 0;
  const [partitions] = await queryable.query(partitionsSql, [lane, at]);
  if (!partitions) throw new Error(`The partitions of the ${lane} lane gave no row.`);
  const readers = rows.map(({ reader, high, reportedAt }) => ({
    reader,
    high,
    positionsBehind: Math.max(0, at - high),
    reportedAt,
    reportAgeS: Math.max(0, (Date.parse(last.now) - Date.parse(reportedAt)) / 1_000),
  }));
  const alarms = [...alarmsOf(lane, partitions, readers), ...slots.flatMap(alarmOfSlot)];
  return { lane, head: at, headAt: last.headAt, partitions, readers, slots, alarms };
}

/** Pure, so that each sentence can be shown to come. */
export function alarmsOf(
  lane: Lane,
  { ready }: Pick<OutboxLag["partitions"], "ready">,
  readers: readonly Pick<OutboxReaderLag, "reader" | "reportAgeS" | "positionsBehind">[],
): string[] {
  const few = `Only ${ready} partitions of the ${lane} lane lie ready: without one, nothing can be published.`;
  const away = readers
    .filter(({ reportAgeS }) => reportAgeS > awayAfterS)
    .map(
      ({ reader, reportAgeS, positionsBehind }) =>
        `${reader} has not read the ${lane} lane for ${Math.round(reportAgeS)} s and holds back ${positionsBehind} positions.`,
    );
  return ready < fewPartitions ? [few, ...away] : away;
}

/** Pure, for the same reason. */
export function alarmOfSlot({ slot, isRead, isLost, retainedBytes, boundBytes }: OutboxSlot): string[] {
  if (isLost) return [`The slot ${slot} has lost its log; its reader goes on from the table.`];
  const bytes = retainedBytes ?? 0;
  if (bytes < (boundBytes === null ? muchLogBytes : boundBytes / 2)) return [];
  const whoReads = isRead
    ? "its reader is behind"
    : `nobody reads it: retire its reader if it is gone for good, or select pg_drop_replication_slot('${slot}') if it reads the table now`;
  const bound = boundBytes === null ? "there is no bound but the disk" : `at ${inMegabytes(boundBytes)} it is lost`;
  return [`The slot ${slot} keeps ${inMegabytes(bytes)} of log, and ${bound}; ${whoReads}.`];
}

const inMegabytes = (bytes: number): string => `${Math.round(bytes / 2 ** 20)} MB`;
