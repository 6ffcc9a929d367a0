/** One writer and one consumer on a stage, round after round, killed and replaced as the plan says. */

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type Database, openDatabase } from "@onsale/postgres";
import { Random } from "../random.ts";
import { Findings, type Invariant } from "../report.ts";
import {
  type ConsumerAssignment,
  type KafkaPlace,
  keysOf,
  type RelayAssignment,
  slowKeyOf,
} from "../theatre/assignment.ts";
import {
  consumers,
  countChanges,
  effectsIn,
  effectsOf,
  endOpenTransactions,
  factsOf,
  firedIn,
  hasRecovered,
  hasSettled,
  hasStarted,
  hindrances,
  letComeDue,
  openAccounts,
  spanOf,
} from "../theatre/books.ts";
import { saga } from "../theatre/consumer.ts";
import { Crew, type Ending, type Worker } from "../theatre/crew.ts";
import type { FaultName } from "../theatre/fault-names.ts";
import { judge } from "../theatre/judge.ts";
import type { Death, KillPoint } from "../theatre/kill-points.ts";
import { roleAt } from "../theatre/kill-points.ts";
import { outboxReadersOf, roleOf, type Stage } from "../theatre/stage.ts";
import { until } from "../until.ts";
import { bringAbout, type Ground, type MomentName, momentKeys, momentWriterName } from "./moments.ts";

export interface PlayOptions {
  /** Planted in writers and consumers. */
  readonly fault?: FaultName;
  /** Events go through it, by a relay. Absent: consumers read the outboxes. */
  readonly kafka?: KafkaPlace;
}

type StandingRole = "consumer" | "relay";

export interface RoundPlan {
  readonly round: number;
  readonly seed: number;
  /** Where somebody dies in this round under load, one after the other. */
  readonly deaths: readonly KillPoint[];
  /** What is brought about when the load is over. */
  readonly moments?: readonly MomentName[];
  /** Changes under load at least. Default 1,000. */
  readonly changes?: number;
}

export interface RoundResult {
  readonly invariants: readonly Invariant[];
  /** The points that were really hit. */
  readonly hits: readonly KillPoint[];
  readonly changes: number;
}

/** Changes of a round under load at least. */
const leastChanges = 1_000;

/** Changes after the last death at least: so that it lies before the last effect. */
const fewestLast = 100;

/** A round whose events are not all applied after so long never will be. A second on an idle machine, two minutes on one with twelve times the work it has cores for. */
const settleMs = 240_000;

/** A point that no process passes in so long is on no way that they take. */
const reachMs = 120_000;

const lookEveryMs = 10;

export class Play implements AsyncDisposable {
  readonly #stage: Stage;
  readonly #source: Database;
  readonly #crew = new Crew();
  readonly #fault: FaultName | undefined;
  readonly #kafka: KafkaPlace | undefined;
  readonly #journals: string;
  /** Who works from one round to the next. */
  readonly #standing = new Map<StandingRole, Worker>();
  #hired = 0;

  private constructor(stage: Stage, journals: string, { fault, kafka }: PlayOptions) {
    this.#stage = stage;
    this.#source = openDatabase({
      ...{ url: stage.url, schema: "source", role: roleOf("source") },
      ...{ connections: 3, applicationName: momentWriterName },
    });
    this.#journals = journals;
    this.#fault = fault;
    this.#kafka = kafka;
  }

  static async open(stage: Stage, options: PlayOptions = {}): Promise<Play> {
    return new Play(stage, await mkdtemp(join(tmpdir(), "onsale-drill-")), options);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#crew[Symbol.asyncDispose]();
    await this.#source.close();
    await rm(this.#journals, { recursive: true, force: true });
  }

  async round(plan: RoundPlan): Promise<RoundResult> {
    return await new Round(this, plan).play();
  }

  get stage(): Stage {
    return this.#stage;
  }

  groundOf(round: number): Ground {
    return {
      ...{ stage: this.#stage, round, fault: this.#fault, source: this.#source, journal: this.#journal },
      outboxReaders: outboxReadersOf(this.#kafka),
      consumer: () => this.standing("consumer"),
      replaceConsumer: () => this.replace("consumer"),
      dismiss: (worker) => this.dismiss(worker),
    };
  }

  get #journal(): string {
    return join(this.#journals, "calls");
  }

  /** Who works in this role, somebody new where nobody does. */
  async standing(role: StandingRole): Promise<Worker> {
    return this.#standing.get(role) ?? (await this.replace(role));
  }

  async replace(role: StandingRole, death?: Death): Promise<Worker> {
    const worker = await this.#crew.hire({ ...this.#assignmentOf(role), ...(death && { death }) });
    this.#standing.set(role, worker);
    return worker;
  }

  /** Hires whom the log needs. */
  async getReady(): Promise<void> {
    if (this.#kafka) await this.standing("relay");
    await this.standing("consumer");
  }

  /** Whether who works now has taken up everything from those who were killed. */
  async hasRecovered(): Promise<boolean> {
    const consumer = await this.standing("consumer");
    const relay = this.#kafka ? (await this.standing("relay")).pid : null;
    return await hasRecovered(this.#stage.admin, { consumer: consumer.pid, relay });
  }

  #assignmentOf(role: StandingRole): ConsumerAssignment | RelayAssignment {
    const { url } = this.#stage;
    const kafka = this.#kafka;
    const planted = this.#fault && { fault: this.#fault };
    if (role === "consumer")
      return { role, url, seed: this.#hired++, journal: this.#journal, ...planted, ...(kafka && { kafka }) };
    if (!kafka) throw new Error("Without Kafka there is nothing to relay to.");
    return { role, url, kafka, ...planted };
  }

  async hireWriter(round: number, seed: number): Promise<Worker> {
    const planted = this.#fault && { fault: this.#fault };
    return await this.#crew.hire({ role: "writer", url: this.#stage.url, seed, round, ...planted });
  }

  prepareSpare(): void {
    this.#crew.prepareSpare();
  }

  async dismiss(worker: Worker, changes = 0): Promise<void> {
    await this.#crew.dismiss(worker, changes);
  }
}

/** From the first event to the last effect, and the judgement. */
class Round {
  readonly #play: Play;
  readonly #plan: RoundPlan;
  readonly #random: Random;
  readonly #findings = new Findings();
  readonly #deaths: { readonly point: KillPoint; readonly atMs: number }[] = [];
  #writer: Worker | undefined;
  #hired = 0;

  constructor(play: Play, plan: RoundPlan) {
    this.#play = play;
    this.#plan = plan;
    this.#random = new Random(plan.seed);
  }

  async play(): Promise<RoundResult> {
    const { admin } = this.#play.stage;
    const { round, deaths, moments = [], changes: least = leastChanges } = this.#plan;
    const keys = [...[...keysOf(round), slowKeyOf(round)], ...moments.flatMap((moment) => momentKeys(round, moment))];
    await openAccounts(admin, keys, saga);
    await this.#play.getReady();
    await this.#replaceWriter();
    const over = new AbortController();
    const dues = this.#letDeadlinesComeDue(over.signal);
    try {
      await until(() => hasStarted(admin, round), settleMs);
      for (const point of deaths) await this.#die(point);
      const { changes } = await countChanges(admin, round);
      if (this.#writer) await this.#play.dismiss(this.#writer, Math.max(fewestLast, least - changes));
      await this.#settle();
      for (const moment of moments) await this.#bringAbout(moment);
    } finally {
      over.abort();
      await dues;
    }
    await this.#judge(keys.length);
    const { changes } = await countChanges(admin, round);
    return { invariants: this.#findings.invariants, hits: this.#deaths.map(({ point }) => point), changes };
  }

  async #bringAbout(moment: MomentName): Promise<void> {
    await bringAbout(moment, this.#play.groundOf(this.#plan.round));
    await this.#settle();
  }

  async #replaceWriter(): Promise<Worker> {
    this.#writer = await this.#play.hireWriter(this.#plan.round, this.#plan.seed * 101 + this.#hired++);
    return this.#writer;
  }

  async #letDeadlinesComeDue(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await letComeDue(this.#play.stage.admin, saga, this.#plan.round);
      await sleep(lookEveryMs, undefined, { signal }).catch(() => undefined);
    }
  }

  async #die(point: KillPoint): Promise<void> {
    this.#play.prepareSpare();
    // The kit takes an event for poison that three owners in a row ended at; these here end for no fault of an event's.
    await until(() => this.#play.hasRecovered(), settleMs);
    if (point === "consumer.frozen") await this.#freeze();
    else if (point === "consumer.take-over") await this.#dieAtTakeOver();
    else if (roleAt(point) === "writer") await this.#dieWriting(point);
    else await this.#dieStanding(roleAt(point) === "relay" ? "relay" : "consumer", point);
  }

  async #dieWriting(point: KillPoint): Promise<void> {
    if (this.#writer) this.#died(point, await this.#kill(this.#writer, point));
    await this.#replaceWriter();
  }

  async #dieStanding(role: StandingRole, point: KillPoint): Promise<void> {
    this.#died(point, await this.#kill(await this.#play.standing(role), point));
    await this.#play.replace(role);
  }

  /** The successor of a killed one dies, too, the moment that it has taken a stream over. */
  async #dieAtTakeOver(): Promise<void> {
    const consumer = await this.#play.standing("consumer");
    await consumer.kill();
    const death = { point: "consumer.take-over", pass: this.#random.between(1, 4), how: "SIGKILL" } as const;
    const successor = await this.#play.replace("consumer", death);
    this.#died("consumer.take-over", await within(successor.ended, reachMs));
    await this.#play.replace("consumer");
  }

  /** The owner is frozen between a call and its settling; when another has taken over and gone on, it is thawed. */
  async #freeze(): Promise<void> {
    const frozen = await this.#play.standing("consumer");
    frozen.ordain({ point: "consumer.frozen", pass: this.#random.between(5, 60), how: "SIGSTOP" });
    await frozen.hears("consumer.frozen", reachMs);
    this.#deaths.push({ point: "consumer.frozen", atMs: Date.now() });
    const { admin } = this.#play.stage;
    const successor = await this.#play.replace("consumer");
    await until(async () => {
      // Again and again: what PostgreSQL was still working on when the process froze is left open only afterwards.
      await endOpenTransactions(admin, frozen.pid);
      return (await effectsOf(admin, successor.pid, "sink.call")) >= 100;
    }, settleMs);
    await frozen.thaw();
    await this.#play.dismiss(frozen);
  }

  async #kill(worker: Worker, point: KillPoint): Promise<Ending | undefined> {
    if (point.endsWith(".any-moment")) {
      await sleep(this.#random.between(0, 60));
      return { ...(await worker.kill()), point };
    }
    worker.ordain({ point, pass: this.#random.between(1, farthestPass(point)), how: "SIGKILL" });
    return await within(worker.ended, reachMs);
  }

  #died(point: KillPoint, ending: Ending | undefined): void {
    if (ending?.how === "SIGKILL" && ending.point === point) this.#deaths.push({ point, atMs: ending.at });
    else this.#findings.note("kill-points", 0, [`${point}: ${ending ? `ended by ${ending.how}` : "never reached"}`]);
  }

  async #settle(): Promise<void> {
    const { admin } = this.#play.stage;
    const { now } = await countChanges(admin, this.#plan.round);
    const settled = await until(() => hasSettled(admin, now), settleMs).then(
      () => true,
      () => false,
    );
    this.#findings.note(
      "settles",
      1,
      settled
        ? []
        : [
            `round ${this.#plan.round} was not applied within ${settleMs} ms, at ${now}: ${(await hindrances(admin, now)).join("; ")}`,
          ],
    );
  }

  async #judge(keys: number): Promise<void> {
    const { admin } = this.#play.stage;
    const { round } = this.#plan;
    const [facts, fired, span] = await Promise.all([
      factsOf(admin, round),
      firedIn(admin, round),
      spanOf(admin, round),
    ]);
    for (const consumer of consumers)
      this.#findings.add(judge(facts, await effectsIn(admin, round, consumer), consumer));
    this.#findings.note(
      "deadline-after-watermark",
      keys,
      fired.map((key) => `the deadline of ${key} fired although its change was committed before`),
    );
    this.#findings.note(
      "kill-points",
      this.#deaths.length,
      this.#deaths
        .filter(({ atMs }) => atMs <= span.firstMs || atMs >= span.lastMs)
        .map(({ point }) => `${point}: not between the first and the last effect of round ${round}`),
    );
  }
}

/** Batches are few in a round, transactions and calls are many. */
const farthestPass = (point: KillPoint): number =>
  /^(batch|relay)\./.test(point) ? 4 : point.startsWith("each.") ? 40 : 30;

const within = <Result>(promise: Promise<Result>, milliseconds: number): Promise<Result | undefined> =>
  Promise.race([promise, sleep(milliseconds, undefined, { ref: false })]);
