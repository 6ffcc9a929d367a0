import type { Database, Transaction } from "@onsale/postgres";
import type { JoinableLog, StartingPoint } from "../consumers/starting-point.ts";
import type { Lane } from "../events/event.ts";
import type { CursorStore, HeardType, LogReader } from "../log.ts";
import type { FeedName } from "../telemetry.ts";
import type { KafkaCluster } from "./cluster.ts";
import { Fetcher } from "./fetcher.ts";
import { beginKafkaCursors, KafkaCursors } from "./kafka-cursor.ts";
import { type KafkaTelemetry, silentKafkaTelemetry } from "./telemetry.ts";
import { TopicReader } from "./topic-reader.ts";

export interface KafkaLogOptions {
  readonly cluster: KafkaCluster;
  /** The consumers' own database: what is found on a topic and is no event of ours is kept there. */
  readonly database: Database;
  /**
   * Streams that each topic's partitions are dealt out to; the number of partitions is a multiple of it. Each has a lease,
   * so as many processes at most share the work of one reader. Default 1.
   */
  readonly slots?: number;
  /** Whether anybody here knows a type of event; one that nobody knows is set aside. Default: all are known. */
  readonly knows?: (type: string) => boolean;
  /**
   * Who appends to the topics. `relay`: ours alone, which puts a key into one partition by a rule of its own, so what lies in another
   * is foreign. Others, as Debezium, have another rule. Default `anybody`.
   */
  readonly writtenBy?: "relay" | "anybody";
  readonly telemetry?: KafkaTelemetry;
}

/** The Kafka log: consumers read topics that relays fill from the outboxes. Progress stays in the consumers' database. */
export class KafkaLog implements JoinableLog {
  readonly cursors: CursorStore;
  readonly #options: Required<KafkaLogOptions>;
  /** One per reader: two readers stand at different places of the same partition. */
  readonly #fetchers = new Map<string, Fetcher>();

  constructor(options: KafkaLogOptions) {
    this.#options = {
      ...{ slots: 1, knows: () => true, writtenBy: "anybody", telemetry: silentKafkaTelemetry },
      ...options,
    };
    this.cursors = new KafkaCursors(options.cluster, this.#options.telemetry);
  }

  slots(): number {
    return this.#options.slots;
  }

  open(feed: FeedName, types?: readonly HeardType[]): LogReader {
    return new TopicReader({
      ...this.#options,
      feed,
      keyFields: types && new Map(types.map(({ type, key }) => [type, key])),
      fetcher: this.#fetcherOf(feed.reader),
    });
  }

  begin(tx: Transaction, reader: { name: string; lanes: readonly Lane[] }, from: StartingPoint): Promise<boolean> {
    return beginKafkaCursors(tx, { ...reader, slots: this.#options.slots }, from);
  }

  /** After the feeds that read from it. */
  async close(): Promise<void> {
    await Promise.all([...this.#fetchers.values()].map((fetcher) => fetcher.close()));
    this.#fetchers.clear();
  }

  #fetcherOf(reader: string): Fetcher {
    const { cluster, telemetry } = this.#options;
    const fetcher = this.#fetchers.get(reader) ?? new Fetcher({ cluster, reader, telemetry });
    this.#fetchers.set(reader, fetcher);
    return fetcher;
  }
}
