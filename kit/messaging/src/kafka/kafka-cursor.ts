/** How a consumer's progress in topics is saved: in its own database, in the transaction of the effects. */

import {
  bigint,
  type Database,
  double,
  instant,
  integer,
  json,
  nullable,
  sql,
  type Transaction,
  text,
} from "@onsale/postgres";
import { cursorMove } from "../consumers/cursor-place.ts";
import type { StartingPoint } from "../consumers/starting-point.ts";
import type { Lane } from "../events/event.ts";
import type { CursorMove, CursorStore, Moved } from "../log.ts";
import type { FeedName } from "../telemetry.ts";
import { OtherLogError } from "./begun-log.ts";
import type { KafkaCluster } from "./cluster.ts";
import { type KafkaCursor, ownPlaces, type TopicPositions } from "./positions.ts";
import type { KafkaTelemetry } from "./telemetry.ts";

const stream = [text, text, text, integer] as const;

const loadSql = sql("messaging.load-kafka-cursor", {
  takes: stream,
  gives: { kafka: nullable(json<KafkaCursor>()), high: bigint },
})`
  select kafka, high from reader_cursor where reader = $1 and source = $2 and lane = $3 and slot = $4`;

const moveRow = cursorMove("messaging.move-kafka-cursor", {
  takes: [...stream, bigint, json<KafkaCursor>(), json<KafkaCursor>(), nullable(instant), double],
  update: `
    update reader_cursor
    set kafka = $7, watermark = greatest(watermark, $8), lease_until = clock_timestamp() + $9 * interval '1 millisecond',
        unclean_takes = 0
    where reader = $1 and source = $2 and lane = $3 and slot = $4 and epoch = $5 and coalesce(kafka, '{}') = $6`,
});

const beginSql = sql("messaging.begin-at-in-topic", {
  takes: [text, text, text, integer, integer, nullable(json<TopicPositions>())],
  gives: {},
})`
  insert into reader_cursor (reader, source, lane, slot, slots, kafka) values ($1, $2, $3, $4, $5, $6)
  on conflict (reader, source, lane, slot) do nothing`;

/**
 * Makes the cursors of a reader that begins at an export. False when it has some.
 * @throws {OtherLogError} when the source's events did not go through Kafka.
 */
export async function beginKafkaCursors(
  tx: Transaction,
  { name, lanes, slots }: { readonly name: string; readonly lanes: readonly Lane[]; readonly slots: number },
  { source, topics }: StartingPoint,
): Promise<boolean> {
  if (!topics)
    throw new OtherLogError(`${name} can't begin in a topic: when ${source} was exported, it had none on Kafka.`);
  const streams = lanes.flatMap((lane) => Array.from({ length: slots }, (_, slot) => ({ lane, slot })));
  const begun = await Promise.all(
    streams.map(({ lane, slot }) =>
      tx.execute(beginSql, [name, source, lane, slot, slots, ownPlaces(topics[lane], { slot, slots }) ?? null]),
    ),
  );
  return begun.every((rows) => rows === 1);
}

export class KafkaCursors implements CursorStore {
  readonly #cluster: KafkaCluster;
  readonly #telemetry: KafkaTelemetry;

  constructor(cluster: KafkaCluster, telemetry: KafkaTelemetry) {
    this.#cluster = cluster;
    this.#telemetry = telemetry;
  }

  async load(database: Database, { reader, source, lane, slot }: FeedName): Promise<KafkaCursor> {
    const [row] = await database.query(loadSql, [reader, source, lane, slot]);
    if (!row) throw new Error(`The cursor of ${reader} on ${source}/${lane}/${slot} is gone.`);
    if (row.kafka === null && row.high > 0)
      throw new OtherLogError(
        `${reader} began to read ${source}/${lane} from its outbox and can't go on from Kafka: it would read everything again.`,
      );
    return row.kafka ?? {};
  }

  async move(tx: Transaction, { reader, source, lane, slot }: FeedName, move: CursorMove): Promise<Moved | undefined> {
    const { epoch, from, to, watermark = null, leaseMs } = move;
    return await moveRow(tx, move, [reader, source, lane, slot, epoch, from, to, watermark, leaseMs]);
  }

  /** Commits the saved offsets to Kafka as well, for the tools that read lag there. Nothing of ours reads them. */
  async report(database: Database, feed: FeedName): Promise<void> {
    const { at } = await this.load(database, feed);
    if (!at) return;
    const topic = this.#cluster.topicOf(feed.source, feed.lane);
    const offsets = new Map(Object.entries(at).map(([partition, { offset }]) => [Number(partition), offset]));
    try {
      await this.#cluster.commit(feed.reader, topic, offsets);
    } catch (error) {
      this.#telemetry.offsetsNotCommitted({ reader: feed.reader, topic, error });
    }
  }
}
