/** How progress on an outbox is saved: two snapshots and positions between them, in the consumer's own schema. */

import {
  bigint,
  composedSql,
  type Database,
  double,
  identifier,
  instant,
  integer,
  lsn,
  nullable,
  snapshot,
  sql,
  type Transaction,
  text,
  voids,
} from "@onsale/postgres";
import { cursorMove } from "../consumers/cursor-place.ts";
import type { StartingPoint } from "../consumers/starting-point.ts";
import type { Lane } from "../events/event.ts";
import type { CursorMove, CursorStore, Moved } from "../log.ts";
import type { FeedName } from "../telemetry.ts";
import { formatLsn, parseLsn } from "../wal/lsn.ts";
import type { OutboxCursor } from "./snapshot-reader.ts";

const loadSql = sql("messaging.load-cursor", {
  takes: [text, text, text, integer],
  gives: {
    snap: snapshot,
    high: bigint,
    nextSnap: nullable(snapshot),
    nextHigh: nullable(bigint),
    at: bigint,
    nextTakenAt: nullable(instant),
    walLsn: nullable(lsn),
    walOrigin: nullable(text),
    foreign: nullable(bigint),
  },
})`
  select snap, high, next_snap as "nextSnap", next_high as "nextHigh", at, next_taken_at as "nextTakenAt",
    wal_lsn as "walLsn", wal_origin as "walOrigin",
    nullif(coalesce(system_identifier, reader_system_identifier()), reader_system_identifier()) as foreign
  from reader_cursor where reader = $1 and source = $2 and lane = $3 and slot = $4`;

const moveRow = cursorMove("messaging.move-cursor", {
  takes: [
    text,
    text,
    text,
    integer,
    bigint,
    bigint,
    bigint,
    snapshot,
    bigint,
    nullable(snapshot),
    nullable(bigint),
    bigint,
    nullable(instant),
    nullable(instant),
    double,
    nullable(lsn),
    nullable(lsn),
    nullable(text),
  ],
  update: `
    update reader_cursor
    set snap = $8, high = $9, next_snap = $10, next_high = $11, at = $12, next_taken_at = $13,
        watermark = greatest(watermark, $14), lease_until = clock_timestamp() + $15 * interval '1 millisecond',
        unclean_takes = 0, system_identifier = coalesce(system_identifier, reader_system_identifier()), wal_lsn = $17,
        wal_origin = $18
    where reader = $1 and source = $2 and lane = $3 and slot = $4 and epoch = $5 and high = $6 and at = $7
      and wal_lsn is not distinct from $16`,
});

const beginSql = sql("messaging.begin-at", { takes: [text, text, text, integer, snapshot, bigint], gives: {} })`
  insert into reader_cursor (reader, source, lane, slot, slots, snap, high, system_identifier)
  select $1, $2, $3, slot, $4, $5, $6, reader_system_identifier() from generate_series(0, $4 - 1) as slot
  on conflict (reader, source, lane, slot) do nothing`;

const noticeTimelineSql = sql("messaging.notice-timeline", {
  takes: [text, text, text, integer],
  gives: { from: nullable(integer), to: integer },
})`
  update reader_cursor as cursor set timeline = reader_timeline()
  where reader = $1 and source = $2 and lane = $3 and slot = $4 and timeline is distinct from reader_timeline()
  returning old.timeline as "from", new.timeline as "to"`;

/** Slots of one lane report as readers of their own: a partition leaves when all of them have passed it. */
const reportSql = (source: string) =>
  composedSql(`messaging.report-to-${source}`, {
    takes: [text, text, text, integer],
    gives: { outbox_report: voids },
    text: `
      select ${identifier(source)}.outbox_report(case slots when 1 then reader else reader || '#' || slot end, lane, snap, high)
      from reader_cursor where reader = $1 and source = $2 and lane = $3 and slot = $4`,
  });

/**
 * Remembers the timeline of the log that the cursor is read on; gives the change when it is another one than the last
 * time. Snapshots and positions stay true on it: what the promoted server does not have, its cursor has not passed.
 */
export async function noticeTimeline(
  database: Database,
  { reader, source, lane, slot }: FeedName,
): Promise<{ from: number; to: number } | undefined> {
  const [row] = await database.query(noticeTimelineSql, [reader, source, lane, slot]);
  return row && row.from !== null ? { from: row.from, to: row.to } : undefined;
}

/** Makes the cursors of a reader that begins at an export. False when it has some. */
export async function beginOutboxCursors(
  tx: Transaction,
  { name, lanes, slots }: { readonly name: string; readonly lanes: readonly Lane[]; readonly slots: number },
  { source, snap, highs }: StartingPoint,
): Promise<boolean> {
  const begun = await Promise.all(
    lanes.map((lane) => tx.execute(beginSql, [name, source, lane, slots, snap, highs[lane]])),
  );
  return begun.every((rows) => rows === slots);
}

/** The same for every feed. */
export const outboxCursors: CursorStore = {
  async load(database: Database, feed: FeedName): Promise<OutboxCursor> {
    const { reader, source, lane, slot } = feed;
    const [row] = await database.query(loadSql, [reader, source, lane, slot]);
    if (!row) throw new Error(`The cursor of ${reader} on ${source}/${lane}/${slot} is gone.`);
    if (row.foreign !== null) {
      throw new Error(
        `The cursor of ${reader} on ${source}/${lane}/${slot} belongs to another server (${row.foreign}): rebase it before reading on.`,
      );
    }
    const { snap, high, nextSnap, nextHigh, at, nextTakenAt, walLsn, walOrigin } = row;
    if (walLsn !== null && walOrigin !== null) return { snap, high, wal: { lsn: parseLsn(walLsn), origin: walOrigin } };
    if (nextSnap === null || nextHigh === null) return { snap, high };
    return { snap, high, window: { nextSnap, nextHigh, at, ...(nextTakenAt !== null && { takenAt: nextTakenAt }) } };
  },

  // All fields of the cursor are always written: a commit that left out the snapshots would redeliver the whole window
  // after a take-over.
  async move(tx: Transaction, { reader, source, lane, slot }: FeedName, move: CursorMove): Promise<Moved | undefined> {
    const from = move.from as OutboxCursor;
    const to = move.to as OutboxCursor;
    return await moveRow(tx, move, [
      reader,
      source,
      lane,
      slot,
      move.epoch,
      from.high,
      from.window?.at ?? 0,
      to.snap,
      to.high,
      to.window?.nextSnap ?? null,
      to.window?.nextHigh ?? null,
      to.window?.at ?? 0,
      to.window?.takenAt ?? null,
      move.watermark ?? null,
      move.leaseMs,
      from.wal ? formatLsn(from.wal.lsn) : null,
      to.wal ? formatLsn(to.wal.lsn) : null,
      to.wal?.origin ?? null,
    ]);
  },

  async report(database: Database, { reader, source, lane, slot }: FeedName): Promise<void> {
    await database.execute(reportSql(source), [reader, source, lane, slot]);
  },
};
