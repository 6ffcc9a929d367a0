/** How far a relay has come: in its outbox, and in the topic that it writes. Both move in one transaction. */

import { bigint, type Database, double, integer, json, nullable, sql, type Transaction, text } from "@onsale/postgres";
import type { Lane } from "../events/event.ts";
import type { Cursor, CursorMove, CursorStore, Moved } from "../log.ts";
import type { OutboxCursor } from "../outbox/snapshot-reader.ts";
import type { FeedName } from "../telemetry.ts";
import type { KafkaCursor, TopicPositions } from "./positions.ts";

export interface RelayCursor {
  /** In the words of the outbox's reader. */
  readonly outbox: Cursor;
  /** How far the topic was acknowledged; empty before the first record. */
  readonly kafka: KafkaCursor;
}

const stream = [text, text, text, integer] as const;

const loadSql = sql("messaging.load-relay-cursor", {
  takes: stream,
  gives: { kafka: nullable(json<TopicPositions>()) },
})`
  select kafka from reader_cursor where reader = $1 and source = $2 and lane = $3 and slot = $4`;

const moveSql = sql("messaging.move-relay-cursor", { takes: [...stream, bigint, json<KafkaCursor>()], gives: {} })`
  update reader_cursor set kafka = nullif($6::jsonb, '{}')
  where reader = $1 and source = $2 and lane = $3 and slot = $4 and epoch = $5`;

export class RelayCursors implements CursorStore {
  readonly #outbox: CursorStore;

  constructor(outbox: CursorStore) {
    this.#outbox = outbox;
  }

  async load(database: Database, feed: FeedName): Promise<RelayCursor> {
    const { reader, source, lane, slot } = feed;
    const outbox = await this.#outbox.load(database, feed);
    const [row] = await database.query(loadSql, [reader, source, lane, slot]);
    return { outbox, kafka: row?.kafka ?? {} };
  }

  async move(tx: Transaction, feed: FeedName, move: CursorMove): Promise<Moved | undefined> {
    const from = move.from as RelayCursor;
    const to = move.to as RelayCursor;
    const { reader, source, lane, slot } = feed;
    const [moved] = await Promise.all([
      // Copied: the second statement moves the row once more, so that its place is not remembered.
      this.#outbox.move(tx, feed, { ...move, from: { ...from.outbox }, to: to.outbox }),
      tx.execute(moveSql, [reader, source, lane, slot, move.epoch, to.kafka]),
    ]);
    return moved;
  }

  report(database: Database, feed: FeedName): Promise<void> {
    return this.#outbox.report(database, feed);
  }
}

/** Long enough that all checkpoints of a day are read at once, short enough that little is written twice. */
export const checkpointEveryMs = 10_000;

/** A lost tail is noticed within seconds of the broker's return; one that is found later is written again as a whole. */
const keepHours = 24;

const keepSql = sql("messaging.keep-kafka-checkpoint", {
  takes: [text, integer, json<Cursor>(), json<KafkaCursor>()],
  gives: {},
})`
  insert into kafka_checkpoint (lane, slot, outbox_cursor, kafka) values ($1, $2, $3, $4)`;

const forgetSql = sql("messaging.forget-kafka-checkpoints", { takes: [text, integer, double], gives: {} })`
  delete from kafka_checkpoint where lane = $1 and slot = $2 and taken_at < clock_timestamp() - $3 * interval '1 hour'`;

const checkpointsSql = sql("messaging.kafka-checkpoints", {
  takes: [text, integer, text],
  gives: { outbox: json<Cursor>(), kafka: json<TopicPositions>() },
})`
  select outbox_cursor as outbox, kafka from kafka_checkpoint
  where lane = $1 and slot = $2 and kafka ->> 'topic' = $3 order by taken_at desc`;

interface Shard {
  readonly lane: Lane;
  readonly slot: number;
}

/** Remembers a place to begin again from. */
export async function keepCheckpoint(tx: Transaction, { lane, slot }: Shard, cursor: RelayCursor): Promise<void> {
  await Promise.all([
    tx.execute(keepSql, [lane, slot, inTable(cursor.outbox), cursor.kafka]),
    tx.execute(forgetSql, [lane, slot, keepHours]),
  ]);
}

/**
 * The same place without the one in the write-ahead log, which the server has long forgotten when a checkpoint is needed:
 * the table is read on from the rest, and some events are repeated.
 */
function inTable(cursor: Cursor): Cursor {
  const { wal: _forgotten, ...table } = cursor as OutboxCursor;
  return table;
}

/** The checkpoints in one topic, youngest first. */
export const checkpointsIn = (
  database: Database,
  { lane, slot }: Shard,
  topicId: string,
): Promise<{ outbox: Cursor; kafka: TopicPositions }[]> => database.query(checkpointsSql, [lane, slot, topicId]);
