/** What arrives on a topic, whoever writes there: the same eyes for all who are compared. */

import { setTimeout as sleep } from "node:timers/promises";
import type { KafkaCluster } from "@onsale/messaging/kafka";
import { sharedClock } from "./clock.ts";

export interface Arrivals {
  /** By the record's key, which every event of the bench has for itself: when we had it, on the shared clock. */
  readonly at: ReadonlyMap<string, number>;
  /** When the broker appended the first and the last of them: milliseconds since 1970. */
  readonly firstAppendedMs: number;
  readonly lastAppendedMs: number;
}

const lookEveryMs = 100;
/** While a backlog arrives, which the broker clocks itself: each look is 17 requests to a broker that is measured. */
const countEveryMs = 250;
/** As much as a fetch may bring. */
const fetchBytes = 8 * 1024 * 1024;
const patienceMs = 180_000;

export class TopicWatch implements AsyncDisposable {
  readonly #cluster: KafkaCluster;
  readonly #name: string;
  readonly #consumer: ReturnType<KafkaCluster["openConsumer"]>;
  /** The offset that comes next, by partition. */
  #next: number[] = [];

  constructor(cluster: KafkaCluster, name: string) {
    this.#cluster = cluster;
    this.#name = name;
    this.#consumer = cluster.openConsumer("bench-watch");
  }

  /** Waits, without reading, until so many records have come in addition to those that were read. */
  async untilAppended(count: number): Promise<void> {
    const giveUpAt = performance.now() + patienceMs;
    for (;;) {
      const partitions = (await this.#cluster.describe(this.#name))?.leaders ?? [];
      const ends = await Promise.all(partitions.map((_, partition) => this.#cluster.bounds(this.#name, partition)));
      const appended = ends.reduce((sum, { next }, partition) => sum + next - (this.#next[partition] ?? 0), 0);
      if (partitions.length > 0 && appended >= count) return;
      if (performance.now() > giveUpAt) throw new Error(`${this.#name} got ${appended} of ${count} events.`);
      await sleep(countEveryMs);
    }
  }

  /** Reads on until so many events have come, of which fewer may turn out to come. Records without a key are no events. */
  async read(count: () => number): Promise<Arrivals> {
    const at = new Map<string, number>();
    let [firstAppendedMs, lastAppendedMs] = [Number.POSITIVE_INFINITY, 0];
    const giveUpAt = performance.now() + patienceMs;
    while (at.size < count()) {
      for (const { partition, batches } of await this.#fetch()) {
        const now = sharedClock();
        for (const batch of batches) {
          for (const { key, offsetDelta } of batch.records) {
            const offset = Number(batch.firstOffset) + offsetDelta;
            // A broker gives whole batches, also when the place that was asked for lies inside one.
            if (offset < (this.#next[partition] ?? 0)) continue;
            this.#next[partition] = offset + 1;
            if (key === null || key.length === 0) continue;
            at.set(key.toString("latin1"), now);
            firstAppendedMs = Math.min(firstAppendedMs, Number(batch.maxTimestamp));
            lastAppendedMs = Math.max(lastAppendedMs, Number(batch.maxTimestamp));
          }
        }
      }
      if (performance.now() > giveUpAt) throw new Error(`${this.#name} gave ${at.size} of ${count()} events.`);
    }
    return { at, firstAppendedMs, lastAppendedMs };
  }

  async #fetch() {
    const topic = await this.#topic();
    const { responses } = await this.#consumer.fetch({
      ...{ node: topic.node, minBytes: 1, maxBytes: fetchBytes, maxWaitTime: 250 },
      topics: [
        {
          topicId: topic.topicId,
          partitions: topic.partitions.map((partition) => ({
            ...{ partition, fetchOffset: BigInt(this.#next[partition] ?? 0), partitionMaxBytes: fetchBytes },
            ...{ lastFetchedEpoch: -1, currentLeaderEpoch: -1 },
          })),
        },
      ],
    });
    return responses.flatMap(({ partitions }) =>
      partitions.map(({ partitionIndex, records }) => ({ partition: partitionIndex, batches: records ?? [] })),
    );
  }

  #known: { readonly topicId: string; readonly node: number; readonly partitions: readonly number[] } | undefined;

  /** There is one broker, so one node leads all. */
  async #topic() {
    while (this.#known === undefined) {
      const topic = await this.#cluster.describe(this.#name);
      const [leader] = topic?.leaders ?? [];
      if (topic && leader) {
        this.#consumer.topics.track(this.#name);
        this.#known = { topicId: topic.topicId, node: leader.node, partitions: topic.leaders.map((_, index) => index) };
      } else await sleep(lookEveryMs);
    }
    return this.#known;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#consumer.close(true);
  }
}
