/** One key whose handler fails, among a thousand whose handler does not: who waits, for how long, and what a redrive brings back. */

import { setTimeout as sleep } from "node:timers/promises";
import {
  type BasePorts,
  consumer,
  type Delivered,
  OutboxLog,
  type RunningFeeds,
  silentTelemetry,
  startFeeds,
} from "@onsale/messaging";
import { listLetters, redriveLetter } from "@onsale/messaging/operations";
import { type Database, openDatabase } from "@onsale/postgres";
import { accountChanged } from "./account-event.ts";
import { effectsIn, factsOf, openAccounts, parkedKeys } from "./books.ts";
import { changeAccount } from "./change-account.ts";
import { recordEffects, saga } from "./consumer.ts";
import { ratio } from "./flood/promises.ts";
import { quantile } from "./flood/quantile.ts";
import { judge } from "./judge.ts";
import { type DrillReport, Findings, type Invariant, reportOf } from "./report.ts";
import { openTheatre, roleOf, type ServerChoice, type Stage } from "./stage.ts";
import { until } from "./until.ts";

export interface FailingKeyOptions {
  readonly server: ServerChoice;
  /** Pairs of a quiet part and one in which the key fails, one after the other. */
  readonly pairs: number;
  /** Milliseconds of each part. Default 10,000: three thousand changes, thirty of them beyond the p99. */
  readonly partMs?: number;
  readonly say: (words: string) => void;
}

const keys = Array.from({ length: 1_000 }, (_, index) => `key-${index}`);
const failingKey = "key-that-fails";
const round = 1;
const changesPerSecond = 300;

/** Every twentieth change is one of the key that fails, also while it does not. */
const failingShare = 20;

/** What the others' p99 may be, over that of the quiet part beside it. */
const othersAtMost = 1.2;

/** Everything of one part is applied by then, or never. */
const patienceMs = 120_000;

type Change = Delivered<typeof accountChanged>;

export async function drillFailingKey({
  server,
  pairs,
  partMs = 10_000,
  say,
}: FailingKeyOptions): Promise<DrillReport> {
  const startedAt = performance.now();
  await using theatre = await openTheatre(server);
  await using stage = await theatre.stage();
  await openAccounts(stage.admin, [...keys, failingKey], saga);
  await using shop = new Shop(stage);
  await shop.part(Math.min(partMs, 3_000));
  const quiet: number[] = [];
  const failing: number[] = [];
  const waiting = new Set<string>();
  let redriven = 0;
  for (let pair = 1; pair <= pairs; pair++) {
    quiet.push(...(await shop.part(partMs)));
    failing.push(...(await shop.partInWhichTheKeyFails(partMs)));
    for (const key of await parkedKeys(stage.admin)) waiting.add(key);
    redriven += await shop.redrive();
    say(`pair ${pair}: p99 ${quantile(quiet, 0.99)} ms, with a key that fails ${quantile(failing, 0.99)} ms`);
  }
  const figures = {
    ...{ pairs, partMs, keys: keys.length, redriven },
    quietP99Ms: quantile(quiet, 0.99),
    failingP99Ms: quantile(failing, 0.99),
    others: ratio(quantile(failing, 0.99), quantile(quiet, 0.99)),
  };
  const findings = new Findings();
  findings.add(
    judge(await factsOf(stage.admin, round), await effectsIn(stage.admin, round, "sink.apply"), "sink.apply"),
  );
  findings.add([onlyItWaited(waiting, redriven), othersKeptTheirPace(figures.others, failing.length)]);
  return reportOf("failing-key", { invariants: findings.invariants, figures, startedAt });
}

const onlyItWaited = (waiting: ReadonlySet<string>, redriven: number): Invariant => ({
  id: "only-it-waits",
  checked: redriven,
  violations: [
    ...[...waiting].filter((key) => key !== failingKey).map((key) => `${key} waited`),
    ...(waiting.has(failingKey) ? [] : ["the key that fails did not wait"]),
  ],
});

/** Exported for its test. */
export const othersKeptTheirPace = (times: number | undefined, checked: number): Invariant => ({
  id: "others-keep-their-pace",
  checked,
  violations:
    times !== undefined && times <= othersAtMost
      ? []
      : [
          `the others' p99 is ${times ?? "not measured, let alone"} times the quiet one; promised: at most ${othersAtMost}`,
        ],
});

/** A service that changes keys at a steady rate, and one that hears of it. */
class Shop implements AsyncDisposable {
  readonly #stage: Stage;
  readonly #source: Database;
  readonly #sink: Database;
  readonly #feeds: RunningFeeds;
  /** When each change that was not applied yet was to be made, by its token; milliseconds of the monotonic clock. */
  readonly #due = new Map<string, number>();
  #othersUnderWay = 0;
  #latencies: number[] = [];
  #fails = false;

  constructor(stage: Stage) {
    this.#stage = stage;
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
    this.#feeds = startFeeds<BasePorts>({
      service: "sink",
      database: this.#sink,
      consumers: [
        consumer("sink.apply", {
          on: accountChanged,
          in: "batch",
          do: async (tx, changes) => {
            if (this.#fails && changes.some(({ key }) => key === failingKey)) throw new Error("This key fails.");
            await recordEffects(tx, "sink.apply", changes);
            tx.afterCommit(() => this.#applied(changes));
          },
        }),
      ],
      ports: { clock: { now: () => new Date().toISOString() }, ids: { uuid: () => crypto.randomUUID() } },
      sourceOf: () => "source",
      log: new OutboxLog({ database: this.#sink }),
      // The second attempt is the last: what fails is dead before the part is over, and waits for a person.
      retry: { attempts: 2, firstDelayMs: 100 },
      telemetry: { ...silentTelemetry, interrupted: ({ error }) => console.error(`interrupted: ${error}`) },
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#feeds.drain();
    await Promise.all([this.#source.close(), this.#sink.close()]);
  }

  /** Changes keys for a while, then waits until all but the failing one are applied; gives the others' latencies. */
  async part(milliseconds: number): Promise<readonly number[]> {
    this.#latencies = [];
    const changes = Math.round((milliseconds * changesPerSecond) / 1_000);
    const beganAt = performance.now();
    let next = 0;
    const work = async (): Promise<void> => {
      while (next < changes) {
        const change = next++;
        const dueAt = beganAt + (change * 1_000) / changesPerSecond;
        await sleep(Math.max(0, dueAt - performance.now()));
        await this.#change(keyOf(change), dueAt);
      }
    };
    await Promise.all(Array.from({ length: 6 }, work));
    await until(async () => this.#othersUnderWay === 0, patienceMs);
    if (!this.#fails) await until(async () => this.#due.size === 0, patienceMs);
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
    if (key !== failingKey) this.#othersUnderWay++;
    await this.#source.transaction(async (tx) => {
      const token = await changeAccount(tx, { key, round });
      // Before the commit: the consumer may be quicker than the answer to it.
      this.#due.set(token, dueAt);
    });
  }

  #applied(changes: readonly Change[]): void {
    const now = performance.now();
    for (const { key, data } of changes) {
      const dueAt = this.#due.get(data.token);
      this.#due.delete(data.token);
      if (key === failingKey || dueAt === undefined) continue;
      this.#othersUnderWay--;
      this.#latencies.push(now - dueAt);
    }
  }
}

/** Every key in its turn, the failing one between them. */
function keyOf(change: number): string {
  if (change % failingShare === 0) return failingKey;
  return keys[(change - Math.ceil(change / failingShare)) % keys.length] ?? failingKey;
}
