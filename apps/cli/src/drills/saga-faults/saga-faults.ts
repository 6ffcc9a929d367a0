/**
 * Every step of every saga of the whole shop, failed in every way: the real services over a real PostgreSQL and the real
 * provider, in a server that is killed where the fault is a death. How each order ended is read from the stores.
 */

import { type DrillReport, Findings, Random, reportOf } from "@onsale/drills";
import type { SagaStyle } from "@onsale/orders";
import { audit } from "../../audit/audit.ts";
import { disagreements, endInWords, isTurnedBack, type OrderEnd, readOrderEnds } from "../../audit/order-ends.ts";
import type { OpenWork } from "../../audit/quiet.ts";
import { services } from "../../audit/subscriptions.ts";
import type { JournalLine } from "./arms.ts";
import { type Attempt, attemptAt, type Cell, cellName, isAtRest, Stage, type World } from "./attempts.ts";
import { boundsFor, patient } from "./bounds.ts";
import type { KillableServer } from "./killable-server.ts";
import { redriveAll, resend } from "./operations.ts";
import { outOfReach, type Scenario, scenarios, weathers } from "./scenarios.ts";
import { type Fault, faultsOf, isDeath, isLate, requestStep, stageOf, stepsOf } from "./steps.ts";
import { openTheatre, type Theatre } from "./theatre.ts";

export interface SagaFaultsOptions {
  /** An administrator's URL of an empty database. */
  readonly adminUrl: string;
  /** Who leads the orders. */
  readonly saga: SagaStyle;
  /** Decides in which order the deaths come, and what a sample is made of. */
  readonly seed: number;
  /** Orders per cell at a time. */
  readonly orders: number;
  /** Which cells are run. Default: all. */
  readonly pick?: (cells: readonly Cell[], random: Random) => readonly Cell[];
  readonly say: (words: string) => void;
  readonly signal?: AbortSignal;
}

/**
 * How often a fault may meet nobody. An order may have run out of its time before it came to the step, and of several that
 * are to die in a request only the first does.
 */
const triesInVain = 4;

export async function drillSagaFaults(options: SagaFaultsOptions): Promise<DrillReport> {
  const startedAt = performance.now();
  await using theatre = await openTheatre(
    options.adminUrl,
    options.saga,
    options.signal ?? new AbortController().signal,
  );
  const drill = new Drill(options, theatre);
  await drill.rehearse();
  await drill.run();
  await drill.judge();
  return reportOf("saga-faults", { invariants: drill.findings.invariants, figures: drill.figures(), startedAt });
}

/** What an undisturbed order of a scenario passes, and how it ends. */
interface Rehearsed {
  readonly steps: readonly string[];
  readonly end: string;
}

class Drill {
  readonly findings = new Findings();
  readonly #options: SagaFaultsOptions;
  readonly #server: KillableServer;
  readonly #world: World;
  readonly #random: Random;
  #stage: Stage | undefined;
  readonly #rehearsed = new Map<Scenario, Rehearsed>();
  readonly #attempts: Attempt[] = [];
  readonly #ends = new Map<string, string>();
  readonly #table = new Map<string, { hits: number; ends: Set<string> }>();
  #deaths = 0;
  #cells = 0;
  #redriven = 0;

  constructor(options: SagaFaultsOptions, { server, world }: Theatre) {
    this.#options = options;
    this.#server = server;
    this.#world = world;
    this.#random = new Random(options.seed);
  }

  /** One order of each saga that nothing disturbs: its steps are those of the table, its end is what others are compared with. */
  async rehearse(): Promise<void> {
    await this.#server.runWith(patient);
    this.#stage = await Stage.open(this.#world);
    for (const weather of weathers) {
      const attempts = scenarios.filter((it) => it.weather === weather).map((scenario) => attemptAt(scenario));
      await this.#stageOf().prepare(attempts);
      await this.#rest();
      const { length: before } = await this.#server.journal();
      await this.#play(attempts, { isPrepared: true });
      const met = Map.groupBy((await this.#server.journal()).slice(before), ({ correlationId }) => correlationId);
      const ends = await this.#read(attempts);
      for (const { scenario, correlationId, orderId = "" } of attempts) {
        const end = ends.get(orderId);
        const steps = [...new Set((met.get(correlationId) ?? []).map(({ step: name }) => name))];
        this.#rehearsed.set(scenario, { steps: [requestStep, ...steps], end: end ? endInWords(end) : "no end" });
        const faults = end ? disagreements(end) : ["no order"];
        if (end?.status !== scenario.ends) faults.push(`it is to be ${scenario.ends}, and is ${end?.status}`);
        this.findings.note("undisturbed-as-meant", 1, faults.map(of(scenario.name)));
      }
    }
    this.#everyStepHasACell();
  }

  /** A step that somebody adds to a service is met by a scenario, or fails here. */
  #everyStepHasACell(): void {
    const met = new Set([...this.#rehearsed.values()].flatMap(({ steps }) => steps));
    const all = stepsOf(services, this.#options.saga);
    const beyond = outOfReach[this.#options.saga];
    this.findings.note("every-step-has-a-cell", all.length, [
      ...all.filter((name) => !met.has(name) && !(name in beyond)).map((name) => `no saga comes to: ${name}`),
      ...Object.keys(beyond).flatMap((name) => {
        if (met.has(name)) return [`said to be out of reach, and met: ${name}`];
        return all.includes(name) ? [] : [`said to be out of reach, and no step: ${name}`];
      }),
    ]);
  }

  async run(): Promise<void> {
    const all = [...this.#rehearsed].flatMap(([scenario, { steps }]) =>
      steps.flatMap((name) => faultsOf[stageOf(name)].map((fault): Cell => ({ scenario, step: name, fault }))),
    );
    const cells = this.#options.pick?.(all, this.#random) ?? all;
    this.#cells = cells.length;
    for (const cell of cells) this.#table.set(cellName(cell), { hits: 0, ends: new Set() });
    const brisk = cells.filter(({ fault }) => !isDeath(fault) && !isLate(fault));
    const dying = cells.filter(({ fault }) => isDeath(fault));
    const late = cells.filter(({ fault }) => isLate(fault));
    const life = ({ fault, scenario }: Cell) => `${lifeOf(fault)} ${scenario.weather}`;
    const deaths = grouped(dying, ({ step, fault, scenario }) => `${step} ${fault} ${scenario.weather}`);
    // Those of one set of bounds after one another: each other set needs a server of its own.
    for (const group of grouped(brisk, life)) await this.#untilAllAreHit(group, (left) => this.#wave(left));
    for (const group of this.#random.shuffled(deaths)) await this.#untilAllAreHit(group, (left) => this.#death(left));
    for (const group of grouped(late, life)) await this.#untilAllAreHit(group, (left) => this.#wave(left));
  }

  async #untilAllAreHit(cells: readonly Cell[], play: (left: readonly Cell[]) => Promise<void>): Promise<void> {
    const [first] = cells;
    const where = first && (isDeath(first.fault) ? `${first.step}, ${first.fault}` : lifeOf(first.fault));
    for (let left = cells, inVain = 0; left.length > 0 && inVain < triesInVain; ) {
      await play(left);
      const still = left.filter((cell) => this.#table.get(cellName(cell))?.hits === 0);
      inVain = still.length < left.length ? 0 : inVain + 1;
      left = still;
      this.#options.say(`${where}: ${cells.length - left.length} of ${cells.length} cells hit`);
    }
  }

  /** Many orders with different faults at the same time; the server lives. */
  async #wave(cells: readonly Cell[]): Promise<void> {
    const [first] = cells;
    if (!first) return;
    await this.#server.runWith(boundsFor(first.fault));
    const attempts = this.#attemptsAt(cells);
    await this.#play(attempts, { whileDisturbed: isLate(first.fault) });
    const disordered = attempts.filter(({ cell }) => cell?.fault === "delivered in the wrong order");
    if (disordered.length > 0) await this.#tellAgain(disordered);
    await this.#conclude(attempts);
  }

  /** All these orders meet their end at one step; the server dies of it, and its successor goes on. */
  async #death(cells: readonly Cell[]): Promise<void> {
    await this.#server.runWith(patient);
    this.#server.prepareNext();
    const attempts = this.#attemptsAt(cells);
    await this.#stageOf().prepare(attempts);
    await this.#arm(attempts);
    const acted = Promise.all(attempts.map((attempt) => this.#stageOf().act(attempt)));
    acted.catch(() => undefined);
    if (await this.#server.diesWithin(deathMs)) this.#deaths++;
    await this.#server.runWith(patient);
    await acted;
    await this.#rest();
    await this.#conclude(attempts);
  }

  #attemptsAt(cells: readonly Cell[]): Attempt[] {
    return cells.flatMap((cell) => Array.from({ length: this.#options.orders }, () => attemptAt(cell.scenario, cell)));
  }

  async #play(attempts: readonly Attempt[], { whileDisturbed = false, isPrepared = false } = {}): Promise<void> {
    const stage = this.#stageOf();
    if (!isPrepared) await stage.prepare(attempts);
    await this.#arm(attempts);
    await Promise.all(attempts.map((attempt) => stage.act(attempt)));
    if (whileDisturbed) await this.#mendWhenOver(attempts);
    await this.#rest();
  }

  async #arm(attempts: readonly Attempt[]): Promise<void> {
    const together = attempts.length;
    await this.#server.arm(
      attempts.flatMap(({ cell, correlationId }) =>
        cell ? [{ correlationId, step: cell.step, fault: cell.fault, together }] : [],
      ),
    );
  }

  /** Lets the orders end as they can with the fault there; then it is mended, and an operator redrives what died of it. */
  async #mendWhenOver(attempts: readonly Attempt[]): Promise<void> {
    if (attempts[0]?.cell?.fault !== "failed for ever") return;
    const giveUpHitsAt = performance.now() + hitMs;
    const waiting = attempts.filter(waitsForPerson);
    const isDead = async ({ pendingOrders }: OpenWork) => {
      if (pendingOrders > waiting.length) return false;
      const hits = hitsIn(await this.#server.journal());
      const areAllHit = attempts.every(({ correlationId }) => (hits.get(correlationId) ?? 0) > 1);
      return areAllHit || performance.now() > giveUpHitsAt;
    };
    await this.#stageOf().until(isDead, deadMs);
    const ends = await this.#read(attempts.filter((attempt) => !waitsForPerson(attempt)));
    const pending = [...ends].filter(([, { status }]) => status === "PENDING");
    this.#note(
      "ends-with-the-fault-there",
      pending.map(([orderId]) => `order ${orderId} does not end`),
    );
    await this.#server.mend();
    this.#redriven += await redriveAll(this.#world);
  }

  async #rest(): Promise<void> {
    const open = await this.#stageOf().until(isAtRest);
    this.#note("comes-to-rest", open ? [JSON.stringify(open)] : []);
  }

  /** When all is over, an operator has the event told once more, past the inbox: it is behind everything then. */
  async #tellAgain(attempts: readonly Attempt[]): Promise<void> {
    const met = Map.groupBy(await this.#server.journal(), ({ correlationId }) => correlationId);
    for (const { correlationId, cell } of attempts) {
      const line = met.get(correlationId)?.find(({ step: name, eventId }) => name === cell?.step && eventId);
      if (line?.eventId) await resend(this.#world, line.step, line.eventId);
    }
    await this.#rest();
  }

  /** Reads how the orders ended, and compares it with what may be. */
  async #conclude(attempts: readonly Attempt[]): Promise<void> {
    const hits = hitsIn(await this.#server.journal());
    for (const attempt of attempts) attempt.hits += hits.get(attempt.correlationId) ?? 0;
    const ends = await this.#read(attempts);
    for (const attempt of attempts) {
      const { cell, orderId = "", hits } = attempt;
      if (!cell) continue;
      const name = cellName(cell);
      const end = ends.get(orderId);
      const text = end ? endInWords(end) : "no order";
      this.#ends.set(orderId, text);
      this.#attempts.push(attempt);
      this.#note("books-agree", (end ? disagreements(end) : ["no order"]).map(of(`${name} | ${orderId}`)));
      this.#note("ends-as-it-may", this.#mayEndSo(cell, end) ? [] : [`${name} | ${orderId}: ${text}`]);
      if (hits === 0) continue;
      const row = this.#table.get(name);
      row?.ends.add(text);
      if (row) row.hits += hits;
    }
  }

  /** A drill takes minutes: what is wrong is told when it is seen. */
  #note(id: string, violations: readonly string[]): void {
    for (const violation of violations) this.#options.say(`${id}: ${violation}`);
    this.findings.note(id, 1, violations);
  }

  /** What is only disturbed ends as ever; an order that runs out of its time may also be turned back whole. */
  #mayEndSo({ scenario, fault }: Cell, end: OrderEnd | undefined): boolean {
    if (!end) return false;
    if (endInWords(end) === this.#rehearsed.get(scenario)?.end) return true;
    return isLate(fault) && scenario.act === "place" && isTurnedBack(end);
  }

  /** The ends are final, every cell was run, and every invariant of the audit holds over all of it. */
  async judge(): Promise<void> {
    const unrun = [...this.#table].filter(([, { hits }]) => hits === 0).map(([name]) => name);
    this.findings.note("every-cell-was-hit", this.#table.size, unrun);
    const now = await this.#read(this.#attempts);
    const changed = this.#attempts.flatMap(({ orderId = "", cell }) => {
      const end = now.get(orderId);
      const text = end ? endInWords(end) : "no order";
      const before = this.#ends.get(orderId);
      return text === before ? [] : [`${cell && cellName(cell)} | ${orderId}: ${before}, then ${text}`];
    });
    this.findings.note("ends-are-final", this.#attempts.length, changed);
    const { checks, violations } = await audit(this.#world);
    this.findings.note(
      "audit",
      checks,
      violations.map(({ check, what }) => `${check}: ${what}`),
    );
    this.#options.say(["saga | step | fault | hits | end", ...this.#rows()].join("\n"));
  }

  #rows(): string[] {
    return [...this.#table].map(([name, { hits, ends }]) => `${name} | ${hits} | ${[...ends].sort().join("; or ")}`);
  }

  figures(): object {
    return {
      saga: this.#options.saga,
      sagas: this.#rehearsed.size,
      steps: new Set([...this.#rehearsed.values()].flatMap(({ steps }) => steps)).size,
      cells: this.#cells,
      orders: this.#attempts.length,
      hits: this.#attempts.reduce((sum, { hits }) => sum + hits, 0),
      deaths: this.#deaths,
      redriven: this.#redriven,
      outOfReach: outOfReach[this.#options.saga],
      table: this.#rows(),
    };
  }

  #read(attempts: readonly Attempt[]): Promise<Map<string, OrderEnd>> {
    const ids = attempts.flatMap(({ orderId }) => orderId ?? []);
    return readOrderEnds(this.#world.database, this.#world.providers, ids);
  }

  #stageOf(): Stage {
    if (!this.#stage) throw new Error("The drill has not been rehearsed.");
    return this.#stage;
  }
}

/** Who can't hear what it waits for has no deadlines, either: the order's key is set aside, and its dead letter calls a person. */
const waitsForPerson = ({ cell }: Attempt): boolean => cell?.step.startsWith("orders.") === true;

/** What was not hit twice by then has run out of its time before it came to its step, and is tried again. */
const hitMs = 20_000;

/** Within which every order has run out of its time: four times what the bounds of `hopeless` come to, for machines with other work. */
const deadMs = 120_000;

/** An armed process that nobody has killed by then is not going to be: its step was not come to. */
const deathMs = 10_000;

/** What is broken in the same life of the server. */
const lifeOf = (fault: Fault): string => (isLate(fault) ? fault : "failed once, delivered twice or in the wrong order");

const of = (what: string) => (fault: string) => `${what}: ${fault}`;

const grouped = (cells: readonly Cell[], by: (cell: Cell) => string): Cell[][] => [...Map.groupBy(cells, by).values()];

function hitsIn(journal: readonly JournalLine[]): Map<string, number> {
  const hits = new Map<string, number>();
  for (const { what, correlationId } of journal)
    if (what === "hit") hits.set(correlationId, (hits.get(correlationId) ?? 0) + 1);
  return hits;
}
