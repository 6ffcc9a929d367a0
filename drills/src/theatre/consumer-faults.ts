/** Parts of a consumer and of a relay as others have built them, each with the fault that it is known for. */

import { setTimeout as sleep } from "node:timers/promises";
import type {
  Chunk,
  Cursor,
  CursorMove,
  CursorStore,
  Delivered,
  FeedName,
  Log,
  LogReader,
  Moved,
} from "@onsale/messaging";
import {
  array,
  bigint,
  boolean,
  composedSql,
  type Database,
  double,
  instant,
  integer,
  json,
  nullable,
  snapshot,
  sql,
  type Transaction,
  text,
  uuid,
} from "@onsale/postgres";
import type { accountChanged } from "./account-event.ts";
import type { FaultName } from "./fault-names.ts";
import type { Schema } from "./stage.ts";

type Change = Delivered<typeof accountChanged>;

/** What a consumer reads: the outboxes themselves, or the topics that a relay fills from them. */
export type ReadFrom = "outbox" | "topic";

/** A consumer's log with the fault planted; the same log where the fault is another part's. */
export function faultyLog(
  fault: FaultName,
  log: Log,
  { database, from }: { readonly database: Database; readonly from: ReadFrom },
): Log {
  switch (fault) {
    case "id-cursor":
    case "xid-cursor":
      return from === "outbox" ? faultyOutbox(fault, log, database) : log;
    case "commit-offset-first":
      return withCursors(log, {
        move: (_, feed, move) => database.transaction((own) => log.cursors.move(own, feed, move)),
      });
    case "take-over-without-epoch":
      return withCursors(log, { move: from === "outbox" ? moveUnasked : moveUnaskedInTopic });
    case "commit-highest-seen":
      return withHighestSeen(log);
    default:
      return log;
  }
}

/** The outbox, for a consumer or a relay, with the fault planted; the same where the fault is another part's. */
export function faultyOutbox(fault: FaultName, outbox: Log, database: Database): Log {
  switch (fault) {
    case "id-cursor":
      return naiveLog(database, readBehindPosition);
    case "xid-cursor":
      return naiveLog(database, readBehindTransaction);
    default:
      return outbox;
  }
}

const withCursors = (log: Log, cursors: Pick<CursorStore, "move">): Log => ({
  slots: (source) => log.slots(source),
  open: (feed, types) => log.open(feed, types),
  cursors: {
    load: (database, feed) => log.cursors.load(database, feed),
    report: (database, feed) => log.cursors.report(database, feed),
    move: cursors.move,
  },
});

/** With every event comes the cursor behind the whole chunk: the first that is settled moves it past all of them. */
const withHighestSeen = (log: Log): Log => ({
  slots: (source) => log.slots(source),
  cursors: log.cursors,
  open(feed, types) {
    const reader = log.open(feed, types);
    return {
      wait: (signal) => reader.wait(signal),
      close: () => reader.close(),
      async read(cursor, limit): Promise<Chunk> {
        const chunk = await reader.read(cursor, limit);
        return { ...chunk, events: chunk.events.map(({ event }) => ({ event, after: chunk.after })) };
      },
    };
  },
});

/** An outbox's cursor, as the kit saves it. */
interface SavedCursor {
  readonly snap: string;
  readonly high: number;
  readonly window?: {
    readonly nextSnap: string;
    readonly nextHigh: number;
    readonly at: number;
    readonly takenAt?: string;
  };
}

const stream = [text, text, text, integer] as const;

const moveUnaskedSql = sql("drills.move-unasked", {
  takes: [
    ...stream,
    snapshot,
    bigint,
    nullable(snapshot),
    nullable(bigint),
    bigint,
    nullable(instant),
    nullable(instant),
    double,
  ],
  gives: { now: instant, isPaused: boolean },
})`
  update reader_cursor
  set snap = $5, high = $6, next_snap = $7, next_high = $8, at = $9, next_taken_at = $10,
      watermark = greatest(watermark, $11), lease_until = clock_timestamp() + $12 * interval '1 millisecond',
      system_identifier = coalesce(system_identifier, reader_system_identifier()), unclean_takes = 0
  where reader = $1 and source = $2 and lane = $3 and slot = $4
  returning clock_timestamp() as now, paused_at is not null as "isPaused"`;

async function moveUnasked(tx: Transaction, feed: FeedName, move: CursorMove): Promise<Moved | undefined> {
  const { snap, high, window } = move.to as SavedCursor;
  const [row] = await tx.query(moveUnaskedSql, [
    ...([feed.reader, feed.source, feed.lane, feed.slot] as const),
    snap,
    high,
    window?.nextSnap ?? null,
    window?.nextHigh ?? null,
    window?.at ?? 0,
    window?.takenAt ?? null,
    move.watermark ?? null,
    move.leaseMs,
  ]);
  return row;
}

const moveUnaskedInTopicSql = sql("drills.move-unasked-in-topic", {
  takes: [...stream, json<Cursor>(), nullable(instant), double],
  gives: { now: instant, isPaused: boolean },
})`
  update reader_cursor
  set kafka = $5, watermark = greatest(watermark, $6), lease_until = clock_timestamp() + $7 * interval '1 millisecond',
      unclean_takes = 0
  where reader = $1 and source = $2 and lane = $3 and slot = $4
  returning clock_timestamp() as now, paused_at is not null as "isPaused"`;

async function moveUnaskedInTopic(tx: Transaction, feed: FeedName, move: CursorMove): Promise<Moved | undefined> {
  const { reader, source, lane, slot } = feed;
  const { to, watermark = null, leaseMs } = move;
  const [row] = await tx.query(moveUnaskedInTopicSql, [reader, source, lane, slot, to, watermark, leaseMs]);
  return row;
}

/** A place in the outbox that has no snapshots: a position, and with the second fault a transaction id before it. */
interface NaiveCursor {
  readonly position: number;
  readonly xid: number;
}

type ReadBehind = (
  database: Database,
  feed: FeedName,
  // A relay reads every type.
  from: { readonly cursor: NaiveCursor; readonly types: readonly string[] | null; readonly limit: number },
) => Promise<NaiveRow[]>;

function naiveLog(database: Database, readBehind: ReadBehind): Log {
  return {
    slots: () => 1,
    cursors: naiveCursors,
    open: (feed, types): LogReader => ({
      async read(cursor, limit) {
        const takenAt = await clockOf(database);
        const names = types?.map(({ type }) => type) ?? null;
        const rows = await readBehind(database, feed, { cursor: cursor as NaiveCursor, types: names, limit });
        const events = rows.map((row) => ({
          event: toDelivered(row, feed),
          after: { position: row.position, xid: row.xid },
        }));
        const drained = rows.length < limit;
        return { events, after: events.at(-1)?.after ?? cursor, drained, ...(drained && { watermark: takenAt }) };
      },
      wait: (signal) => sleep(10, undefined, { signal }).catch(() => undefined),
      close: async () => undefined,
    }),
  };
}

const clockSql = sql("drills.clock", { takes: [], gives: { now: instant } })`select clock_timestamp() as now`;

async function clockOf(database: Database): Promise<string> {
  const [row] = await database.query(clockSql, []);
  return row?.now ?? "";
}

const naiveRow = {
  id: uuid,
  type: text,
  key: text,
  payload: json<Change["data"]>(),
  sequence: bigint,
  incarnation: uuid,
  createdAt: instant,
  position: bigint,
  xid: bigint,
};
type NaiveRow = {
  id: string;
  type: string;
  key: string;
  payload: Change["data"];
  sequence: number;
  incarnation: string;
  createdAt: string;
  position: number;
  xid: number;
};

const naiveColumns =
  'id, type, aggregateid as key, payload, sequence, incarnation, created_at as "createdAt", position, xid::text::bigint as xid';

const positionSql = (lane: string) =>
  composedSql(`drills.read-behind-position-${lane}`, {
    takes: [bigint, nullable(array(text)), bigint],
    gives: naiveRow,
    text: `
      select ${naiveColumns} from source.outbox_${lane}
      where position > $1 and ($2::text[] is null or type = any($2)) order by position limit $3`,
  });

const readBehindPosition: ReadBehind = (database, { lane }, { cursor, types, limit }) =>
  database.query(positionSql(lane), [cursor.position, types, limit]);

const transactionSql = (lane: string) =>
  composedSql(`drills.read-behind-transaction-${lane}`, {
    takes: [text, bigint, nullable(array(text)), bigint],
    gives: naiveRow,
    text: `
      select ${naiveColumns} from source.outbox_${lane}
      where (xid, position) > ($1::xid8, $2) and xid < pg_snapshot_xmin(pg_current_snapshot())
        and ($3::text[] is null or type = any($3))
      order by outbox_${lane}.xid, position limit $4`,
  });

const readBehindTransaction: ReadBehind = (database, { lane }, { cursor, types, limit }) =>
  database.query(transactionSql(lane), [String(cursor.xid), cursor.position, types, limit]);

const toDelivered = (
  { id, type, key, payload, sequence, incarnation, createdAt }: NaiveRow,
  feed: FeedName,
): Delivered => ({
  id,
  type,
  key,
  sequence,
  source: feed.source,
  incarnation,
  lane: feed.lane,
  time: createdAt,
  cause: { correlationId: id },
  data: payload,
});

const loadNaiveSql = sql("drills.load-naive-cursor", {
  takes: stream,
  gives: { position: bigint, xid: bigint },
})`
  select high as position, coalesce(next_high, 0) as xid from reader_cursor
  where reader = $1 and source = $2 and lane = $3 and slot = $4`;

const moveNaiveSql = sql("drills.move-naive-cursor", {
  takes: [...stream, bigint, bigint, bigint, nullable(instant), double],
  gives: { now: instant, isPaused: boolean },
})`
  update reader_cursor
  set high = $6, next_high = $7, watermark = greatest(watermark, $8),
      lease_until = clock_timestamp() + $9 * interval '1 millisecond', unclean_takes = 0
  where reader = $1 and source = $2 and lane = $3 and slot = $4 and epoch = $5
  returning clock_timestamp() as now, paused_at is not null as "isPaused"`;

const naiveCursors: CursorStore = {
  async load(database, { reader, source, lane, slot }): Promise<Cursor> {
    const [row] = await database.query(loadNaiveSql, [reader, source, lane, slot]);
    return row ?? { position: 0, xid: 0 };
  },
  async move(tx, { reader, source, lane, slot }, { epoch, to, watermark, leaseMs }) {
    const { position, xid } = to as NaiveCursor;
    const parameters = [reader, source, lane, slot, epoch, position, xid, watermark ?? null, leaseMs] as const;
    const [row] = await tx.query(moveNaiveSql, parameters);
    return row;
  },
  report: async () => undefined,
};

const dueByClockSql = sql("drills.take-due-by-clock", { takes: [text], gives: { key: text } })`
  delete from saga_deadline where saga = $1 and due_at <= clock_timestamp() returning key`;

/** Deadlines that the clock has passed, whatever has been heard meanwhile. */
export const takeDueByClock = (tx: Transaction, saga: string): Promise<{ key: string }[]> =>
  tx.query(dueByClockSql, [saga]);

const putOffSql = sql("drills.put-off", { takes: [array(json<Change>())], gives: {} })`
  insert into retry_topic (event) select event from unnest($1::jsonb[]) as failed(event)`;

const takeBackSql = sql("drills.take-back", { takes: [], gives: { event: json<Change>() } })`
  delete from retry_topic where put_at < clock_timestamp() - interval '60 milliseconds' returning event`;

/** A topic for what failed: the event is tried again later, and those behind it of its key are not asked. */
export class RetryTopic {
  readonly #stop = new AbortController();
  readonly #run: Promise<void>;

  constructor(database: Database, apply: (tx: Transaction, changes: readonly Change[]) => Promise<void>) {
    this.#run = this.#redeliver(database, apply);
  }

  /** Puts off what would fail; gives the rest. */
  async divert(tx: Transaction, changes: readonly Change[]): Promise<Change[]> {
    const failing = changes.filter(({ data }) => data.stumbles);
    if (failing.length > 0) await tx.execute(putOffSql, [failing]);
    return changes.filter(({ data }) => !data.stumbles);
  }

  async finish(): Promise<void> {
    this.#stop.abort();
    await this.#run;
  }

  async #redeliver(
    database: Database,
    apply: (tx: Transaction, changes: readonly Change[]) => Promise<void>,
  ): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      await database.transaction(async (tx) => {
        const due = await tx.query(takeBackSql, []);
        if (due.length > 0)
          await apply(
            tx,
            due.map(({ event }) => event),
          );
      });
      await sleep(20, undefined, { signal }).catch(() => undefined);
    }
  }
}

/** What a fault plants in the database itself; run once, by an administrator. `outboxReaders`: where their cursors lie. */
export const plantedScripts: Partial<Record<FaultName, (outboxReaders: Schema) => string>> = {
  // The record of what was seen is gone at once: whatever is delivered again is taken for new.
  "dedupe-off": () => `
    create function sink.forget() returns trigger language plpgsql security definer as $$
    begin
      delete from sink.inbox where reader = new.reader and aggregate = new.aggregate and key = new.key;
      return null;
    end $$;
    create trigger forget after insert or update on sink.inbox for each row execute function sink.forget()`,
  "retry-topic-without-parking": () => `
    create table sink.retry_topic (event jsonb not null, put_at timestamptz not null default clock_timestamp());
    grant select, insert, delete on sink.retry_topic to onsale_sink`,
  // "Every cursor is past its last position, so it can go": whoever took a position there and has not committed is forgotten.
  "partition-dropped-early": (outboxReaders) => `
    create or replace function source.outbox_retire(in_lane text, keep interval) returns text
    language plpgsql volatile security definer as $$
    declare oldest record;
    begin
      select * into oldest from source.outbox_partition
      where lane = in_lane and truncated_at is null
        and (select min(high) from ${outboxReaders}.reader_cursor where reader_cursor.lane = in_lane) >= last_position
      order by first_position limit 1 for update skip locked;
      if not found then return null; end if;
      execute format('truncate source.%I', oldest.name);
      update source.outbox_partition set truncated_at = clock_timestamp() where name = oldest.name;
      return oldest.name;
    end $$`,
};
