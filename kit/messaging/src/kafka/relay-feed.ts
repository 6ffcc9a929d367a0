import type { Database } from "@onsale/postgres";
import { Feed, type FeedOptions } from "../consumers/feed.ts";
import type { Progress } from "../consumers/progress.ts";
import type { Log, LogReader } from "../log.ts";
import { beginning } from "../outbox/snapshot-reader.ts";
import { Appender } from "./appender.ts";
import type { KafkaCluster, Topic } from "./cluster.ts";
import { regain } from "./lost-tail.ts";
import { settleTopic } from "./own-topic.ts";
import { isOwn } from "./positions.ts";
import { type RelayCursor, RelayCursors } from "./relay-cursor.ts";
import { RelayTenure } from "./relay-tenure.ts";
import type { KafkaTelemetry } from "./telemetry.ts";

export interface RelayFeedOptions extends Omit<FeedOptions, "log"> {
  /** How the outbox is read. */
  readonly outbox: Log;
  readonly cluster: KafkaCluster;
  readonly partitions: number;
  readonly kafkaTelemetry: KafkaTelemetry;
}

/** One reader of one lane of its own service's outbox, whose effect is that a topic has the same events. */
export class RelayFeed extends Feed {
  readonly #options: RelayFeedOptions;
  readonly #database: Database;

  constructor(options: RelayFeedOptions) {
    super({ ...options, log: logOfRelay(options.outbox) }, []);
    this.#options = options;
    this.#database = options.database;
  }

  protected override async serve(
    progress: Progress,
    reader: LogReader,
    signal: AbortSignal,
    abandon: AbortSignal,
  ): Promise<void> {
    const { cluster, partitions, kafkaTelemetry: telemetry } = this.#options;
    const { lane, source } = this.name;
    const topic = await settleTopic(this.#database, cluster, { lane, partitions, telemetry });
    const cursor = await this.#regain(progress, topic);
    const producer = cluster.openProducer(`relay-${source}`);
    const close = (): Promise<void> => producer.close(true).catch(() => undefined);
    abandon.addEventListener("abort", close);
    try {
      const appender = new Appender(producer, {
        ...{ stream: { source, lane }, topic, partitions: this.#own(topic) },
        ends: cursor.kafka.at ?? {},
      });
      await new RelayTenure({
        name: this.name,
        database: this.#database,
        cluster,
        telemetry,
        progress,
        reader,
        appender,
        topic,
        from: cursor,
        reached: (watermark) => this.reached(watermark),
      }).run(signal);
    } finally {
      abandon.removeEventListener("abort", close);
      await close();
    }
  }

  /** The partitions that this shard's keys go to. */
  #own({ leaders }: Topic): number[] {
    const slots = this.#options.outbox.slots(this.name.source);
    const part = { slot: this.name.slot, slots };
    return leaders.map((_, partition) => partition).filter((partition) => isOwn(partition, part));
  }

  /** Where to go on; earlier than it was saved when the topic has lost its end. */
  async #regain(progress: Progress, topic: Topic): Promise<RelayCursor> {
    const { cluster, kafkaTelemetry } = this.#options;
    const place = { database: this.#database, cluster, feed: this.name };
    const saved = progress.saved as RelayCursor;
    const { cursor, why } = await regain(place, topic, { saved, beginning });
    if (why === undefined) return cursor;
    kafkaTelemetry.tailLost({ ...this.name, topic: topic.name, why });
    await this.#database.transaction((tx) => progress.move(tx, cursor));
    return cursor;
  }
}

/** To the lease a relay is a reader of its own service's outbox like any other. */
const logOfRelay = (outbox: Log): Log => ({
  slots: (source) => outbox.slots(source),
  cursors: new RelayCursors(outbox.cursors),
  open: (feed) => outbox.open(feed),
});
