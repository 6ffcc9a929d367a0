/** A shop under a steady load, whose every change is heard: what a drill disturbs in order to see who notices. */

import { setTimeout as sleep } from "node:timers/promises";
import {
  type BasePorts,
  consumer,
  type Delivered,
  type Log,
  OutboxLog,
  type RunningFeeds,
  silentTelemetry,
  startFeeds,
} from "@onsale/messaging";
import { KafkaCluster, KafkaLog, startRelay } from "@onsale/messaging/kafka";
import { listLetters, redriveLetter } from "@onsale/messaging/operations";
import { type Database, openDatabase } from "@onsale/postgres";
import type { Invariant } from "../report.ts";
import { accountChanged } from "../theatre/account-event.ts";
import type { KafkaPlace } from "../theatre/assignment.ts";
import { effectsIn, factsOf, openAccounts, parkedKeys } from "../theatre/books.ts";
import { changeAccount } from "../theatre/change-account.ts";
import { recordEffects, saga } from "../theatre/consumer.ts";
import { judge } from "../theatre/judge.ts";
import { productionPartitions, roleOf, type Stage } from "../theatre/stage.ts";
import { until } from "../until.ts";

/** The keys that are changed, each in its turn. */
export const keys: readonly string[] = Array.from({ length: 1_000 }, (_, index) => `key-${index}`);

const round = 1;
const changesPerSecond = 300;

/** Where there is a key that fails, every so many-th change is its, also while it does not fail. */
const failingShare = 20;

/** Everything of one part is applied by then, or never. */
const patienceMs = 120_000;

/** Whoever hears stands still. */
export class StalledError extends Error {
  override readonly name = "StalledError";
  constructor() {
    super(`What was committed was not applied within ${patienceMs / 1_000} s.`);
  }
}

type Change = Delivered<typeof accountChanged>;

/** A service that changes keys at a steady rate, and one that hears of it. */
export class SteadyShop implements AsyncDisposable {
  readonly #stage: Stage;
  readonly #source: Database;
  readonly #sink: Database;
  readonly #feeds: RunningFeeds;
  /** When each change that was not applied yet was to be made, by its token; milliseconds of the monotonic clock. */
  readonly #due = new Map<string, number>();
  #othersUnderWay = 0;
  #latencies: number[] = [];
  #commits: number[] = [];
  readonly #failingKey: string | undefined;
  #fails = false;

  readonly #transport: Transport;

  /** `kafka`: events go through it. Absent: the consumer reads the outbox. */
  constructor(stage: Stage, { failingKey, kafka }: { readonly failingKey?: string; readonly kafka?: KafkaPlace } = {}) {
    this.#stage = stage;
    this.#failingKey = failingKey;
    const open = (schema: "source" | "sink"): Database =>
      openDatabase({
        url: stage.url,
        schema,
        role: roleOf(schema),
        connections: 8,
        applicationName: `drill ${schema}`,
      });
    this.#source = open("source");
    this.#sink = open("sink");
    this.#transport = kafka ? kafkaTransport(kafka, this.#source, this.#sink) : outboxTransport(this.#sink);
    this.#feeds = startFeeds<BasePorts>({
      service: "sink",
      database: this.#sink,
      consumers: [
        consumer("sink.apply", {
          on: accountChanged,
          in: "batch",
          do: async (tx, changes) => {
            if (this.#fails && changes.some(({ key }) => key === this.#failingKey)) throw new Error("This key fails.");
            await recordEffects(tx, "sink.apply", changes);
            tx.afterCommit(() => this.#applied(changes));
          },
        }),
      ],
      ports: { clock: { now: () => new Date().toISOString() }, ids: { uuid: () => crypto.randomUUID() } },
      sourceOf: () => "source",
      log: this.#transport.log,
      // The second attempt is the last: what fails is dead before the part is over, and waits for a person.
      retry: { attempts: 2, firstDelayMs: 100 },
      telemetry: { ...silentTelemetry, interrupted: ({ error }) => console.error(`interrupted: ${error}`) },
    });
  }

  /** Makes the keys, and warms up what will be measured. */
  async open(milliseconds: number): Promise<void> {
    await this.#stage.alter(productionPartitions);
    await openAccounts(this.#stage.admin, [...keys, ...(this.#failingKey ? [this.#failingKey] : [])], saga);
    await this.part(milliseconds);
  }

  /** Of the changes of this part so far: milliseconds from when each was due to its commit. */
  get commits(): readonly number[] {
    return this.#commits;
  }

  /** Changes that are committed, or about to be, and not applied yet. */
  get underWay(): number {
    return this.#othersUnderWay;
  }

  /** Events that wait in the outbox for the broker, as the relay's metric tells it. */
  async backlog(): Promise<number> {
    return await this.#transport.backlog();
  }

  /** What was made of all changes so far. */
  async judge(): Promise<Invariant[]> {
    const { admin } = this.#stage;
    return judge(await factsOf(admin, round), await effectsIn(admin, round, "sink.apply"), "sink.apply");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#feeds.drain();
    await this.#transport.close();
    await Promise.all([this.#source.close(), this.#sink.close()]);
  }

  /**
   * Changes keys for a while, then waits until all but the failing one are applied; gives the others' latencies.
   * @throws {StalledError}
   */
  async part(milliseconds: number): Promise<readonly number[]> {
    this.#latencies = [];
    this.#commits = [];
    const changes = Math.round((milliseconds * changesPerSecond) / 1_000);
    const beganAt = performance.now();
    let next = 0;
    const work = async (): Promise<void> => {
      while (next < changes) {
        const change = next++;
        const dueAt = beganAt + (change * 1_000) / changesPerSecond;
        await sleep(Math.max(0, dueAt - performance.now()));
        await this.#change(this.#keyOf(change), dueAt);
      }
    };
    await Promise.all(Array.from({ length: 6 }, work));
    const isApplied = (): boolean => this.#othersUnderWay === 0 && (this.#fails || this.#due.size === 0);
    await until(async () => isApplied(), patienceMs).catch(() => {
      throw new StalledError();
    });
    return this.#latencies;
  }

  async partInWhichTheKeyFails(milliseconds: number): Promise<readonly number[]> {
    this.#fails = true;
    const latencies = await this.part(milliseconds);
    await until(async () => (await listLetters(this.#sink, {}, { limit: 1 })).length > 0, patienceMs);
    return latencies;
  }

  /** The handler is mended, and an operator puts the key's head back; gives how many changes had waited. */
  async redrive(): Promise<number> {
    const waited = this.#due.size;
    this.#fails = false;
    for (const { reader, eventId } of await listLetters(this.#sink, {}, { limit: 100 }))
      await this.#sink.transaction((tx) =>
        redriveLetter(tx, { reader, eventId, mode: "redeliver", operator: "drill", reason: "the handler is mended" }),
      );
    await until(async () => this.#due.size === 0, patienceMs);
    await until(async () => (await parkedKeys(this.#stage.admin)).length === 0, patienceMs);
    return waited;
  }

  async #change(key: string, dueAt: number): Promise<void> {
    if (key !== this.#failingKey) this.#othersUnderWay++;
    await this.#source.transaction(async (tx) => {
      const token = await changeAccount(tx, { key, round });
      // Before the commit: the consumer may be quicker than the answer to it.
      this.#due.set(token, dueAt);
    });
    this.#commits.push(performance.now() - dueAt);
  }

  #applied(changes: readonly Change[]): void {
    const now = performance.now();
    for (const { key, data } of changes) {
      const dueAt = this.#due.get(data.token);
      this.#due.delete(data.token);
      if (key === this.#failingKey || dueAt === undefined) continue;
      this.#othersUnderWay--;
      this.#latencies.push(now - dueAt);
    }
  }

  /** Every key in its turn, the failing one between them. */
  #keyOf(change: number): string {
    if (this.#failingKey === undefined) return keys[change % keys.length] ?? "";
    if (change % failingShare === 0) return this.#failingKey;
    return keys[(change - Math.ceil(change / failingShare)) % keys.length] ?? "";
  }
}

/** How events come from the outbox to the consumer. */
interface Transport {
  readonly log: Log;
  backlog(): Promise<number>;
  close(): Promise<void>;
}

const outboxTransport = (sink: Database): Transport => ({
  log: new OutboxLog({ database: sink }),
  backlog: async () => 0,
  close: async () => undefined,
});

function kafkaTransport(kafka: KafkaPlace, source: Database, sink: Database): Transport {
  const cluster = new KafkaCluster(kafka);
  const relay = startRelay({ database: source, cluster });
  const log = new KafkaLog({ cluster, database: sink });
  return {
    log,
    backlog: async () => (await relay.backlog()).reduce((sum, { events }) => sum + events, 0),
    async close() {
      await log.close();
      await relay.drain();
      await cluster.close();
    },
  };
}
