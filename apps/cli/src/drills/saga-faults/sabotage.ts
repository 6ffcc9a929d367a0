/**
 * Faults around the services' consumers, for orders that are marked by their correlation. The services know nothing of it:
 * they are composed as ever, and what is given to the composition is wrapped.
 */

import { openSync, writeSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import type { BasePorts, BatchConsumer, Consumer, Delivered, EachConsumer, Log } from "@onsale/messaging";
import { CommitUnknownError, type Database, type Transaction } from "@onsale/postgres";
import type { Arrange } from "@onsale/server";
import { type Arm, correlationPrefix, type JournalLine } from "./arms.ts";
import { repeating } from "./repeating-log.ts";
import { type Fault, isDeath, nameOf, requestStep, type Stage, stageOf } from "./steps.ts";

/** How long a death waits for others that are to die with it: some hops of an order's way. */
const gatherMs = 700;

interface ArmedFault extends Arm {
  hits: number;
  heldSince: number | undefined;
}

export class Sabotage {
  readonly #arms = new Map<string, ArmedFault>();
  readonly #journal: number;
  readonly #heldBackMs: number;
  #mended = false;
  #gatheringSince: number | undefined;
  readonly #waiting = new Set<string>();

  constructor({ journal, heldBackMs }: { readonly journal: string; readonly heldBackMs: number }) {
    this.#journal = openSync(journal, "a");
    this.#heldBackMs = heldBackMs;
  }

  arm(arms: readonly Arm[]): void {
    this.#mended = false;
    for (const arm of arms) this.#arms.set(arm.correlationId, { ...arm, hits: 0, heldSince: undefined });
  }

  mend(): void {
    this.#mended = true;
  }

  /** Puts the faults around a service's consumers, and around what people ask of orders. */
  readonly arrange: Arrange = (service) => ({
    ...service,
    consumers: service.consumers.map((consumer) => this.#around(consumer)),
    routes: (http, context) =>
      service.routes(
        http,
        service.name === "orders" ? { ...context, database: this.#aroundRequests(context.database) } : context,
      ),
  });

  /** A log that hands over again what is to be delivered twice, or in the wrong order. */
  log(log: Log): Log {
    return repeating(log, {
      repetitionOf: (event, reader) => this.#repetitionOf(event, reader),
      handedAgain: (event) => this.#hit(event.cause.correlationId, event.id),
    });
  }

  #around<Ports extends BasePorts>(consumer: Consumer<Ports>): Consumer<Ports> {
    return consumer.kind === "batch" ? this.#aroundBatch(consumer) : this.#aroundEach(consumer);
  }

  #aroundBatch<Ports extends BasePorts>(own: BatchConsumer<Ports>): BatchConsumer<Ports> {
    return {
      ...own,
      do: (tx, events, ports) =>
        this.#pass({ consumer: own.name, stage: "do", tx }, events, () => own.do(tx, events, ports)),
    };
  }

  #aroundEach<Ports extends BasePorts>(own: EachConsumer<Ports>): EachConsumer<Ports> {
    const eventOf = new WeakMap<object, Delivered>();
    const { name: consumer } = own;
    return {
      ...own,
      prepare: (tx, events, ports) =>
        this.#pass({ consumer, stage: "prepare", tx }, events, async () => {
          const prepared = await own.prepare(tx, events, ports);
          const byId = new Map(events.map((event) => [event.id, event]));
          for (const { eventId, work } of prepared) {
            const event = byId.get(eventId);
            if (event) eventOf.set(work as object, event);
          }
          return prepared;
        }),
      call: (work, ports, signal) => {
        const event = eventOf.get(work as object);
        const call = () => own.call(work, ports, signal);
        return event === undefined ? call() : this.#passCall({ consumer, stage: "call" }, event, call);
      },
      settle: (tx, settled, ports) =>
        this.#pass(
          { consumer, stage: "settle", tx },
          settled.map(({ event }) => event),
          () => own.settle(tx, settled, ports),
        ),
    };
  }

  async #pass<Result>(
    { tx, ...place }: { consumer: string; stage: Stage; tx: Transaction },
    events: readonly Delivered[],
    work: () => Promise<Result>,
  ): Promise<Result> {
    const struck = events.flatMap((event) => this.#armAt(place, event) ?? []);
    this.#failIfSo(struck, events.length);
    const dying = struck.filter(({ arm }) => isDeath(arm.fault));
    const [first] = dying;
    if (first && place.stage !== "settle") this.#gather(dying.length, first.arm.together);
    const result = await work();
    if (first) this.#dieAround(tx, first.arm.fault, () => this.#hitAll(dying));
    return result;
  }

  async #passCall<Result>(
    place: { consumer: string; stage: Stage },
    event: Delivered,
    work: () => Promise<Result>,
  ): Promise<Result> {
    const struck = this.#armAt(place, event);
    const settling = this.#armAt({ ...place, stage: "settle" }, event, false);
    this.#failIfSo(struck ? [struck] : [], 1);
    const fault = struck?.arm.fault;
    if (struck && fault === "killed before its commit") await this.#dieTogether(struck);
    const result = await work();
    if (struck && fault === "killed after its commit") await this.#dieTogether(struck);
    // Those that are to die in one transaction come to it together.
    if (settling && isDeath(settling.arm.fault)) await this.#waitForOthers(settling.arm);
    if (!struck || fault !== "delivered twice") return result;
    // As when the answer was lost: only the second one counts.
    this.#hit(struck.arm.correlationId, event.id);
    return await work();
  }

  /** The arm that waits for this event here. What is met is written down: it is a step of the order's saga. */
  #armAt(place: { consumer: string; stage: Stage }, event: Delivered, tells = true): Struck | undefined {
    const { correlationId } = event.cause;
    if (!correlationId.startsWith(correlationPrefix)) return undefined;
    const step = nameOf({ ...place, type: event.type });
    if (tells) this.#write({ what: "met", correlationId, step, eventId: event.id });
    const arm = this.#arms.get(correlationId);
    return arm?.step === step ? { arm, event } : undefined;
  }

  #failIfSo(struck: readonly Struck[], batch: number): void {
    const failing = struck.filter(({ arm }) => this.#isFailing(arm));
    if (failing.length === 0) return;
    // In company it only makes the batch be divided, until it stands alone: that is the failure which counts.
    if (batch === 1) for (const { arm, event } of failing) this.#hit(arm.correlationId, event.id);
    throw new Error("The drill fails this step.");
  }

  #isFailing(arm: ArmedFault): boolean {
    switch (arm.fault) {
      case "failed once":
        return arm.hits === 0;
      case "failed for ever":
        return !this.#mended;
      case "delayed past its deadline":
        arm.heldSince ??= performance.now();
        return performance.now() - arm.heldSince < this.#heldBackMs;
      default:
        return false;
    }
  }

  /** Gives the batch back, as if its connection had been lost, until all who are to die in it are there. */
  #gather(here: number, together: number): void {
    this.#gatheringSince ??= performance.now();
    if (here >= together || performance.now() - this.#gatheringSince > gatherMs) return;
    throw new CommitUnknownError("The drill gives the batch back until more are there.");
  }

  async #waitForOthers({ correlationId, together }: Arm): Promise<void> {
    const giveUpAt = performance.now() + gatherMs;
    this.#waiting.add(correlationId);
    while (this.#waiting.size < together && performance.now() < giveUpAt) await sleep(5);
  }

  async #dieTogether({ arm, event }: Struck): Promise<void> {
    this.#hit(arm.correlationId, event.id);
    await this.#waitForOthers(arm);
    die();
  }

  /** Dies between the last statement of a transaction and its commit, or when the commit is known. */
  #dieAround(tx: Transaction, fault: Fault, tell: () => void): void {
    const end = () => {
      tell();
      die();
    };
    if (fault === "killed before its commit") end();
    else tx.afterCommit(end);
  }

  #hitAll(struck: readonly Struck[]): void {
    for (const { arm, event } of struck) this.#hit(arm.correlationId, event.id);
  }

  #hit(correlationId: string, eventId?: string): void {
    const arm = this.#arms.get(correlationId);
    if (!arm) return;
    arm.hits++;
    this.#write({ what: "hit", correlationId, step: arm.step, ...(eventId !== undefined && { eventId }) });
  }

  /** At once: the process may not live to do it later. */
  #write(line: JournalLine): void {
    writeSync(this.#journal, `${JSON.stringify(line)}\n`);
  }

  #repetitionOf({ cause, type }: Delivered, reader: string): Fault | undefined {
    const arm = this.#arms.get(cause.correlationId);
    if (!arm) return undefined;
    const stage = stageOf(arm.step);
    if (stage !== "do" && stage !== "prepare") return undefined;
    const [consumer = ""] = arm.step.split(" ");
    const hears = stage === "do" ? consumer.startsWith(`${reader}.`) : consumer === reader;
    return hears && arm.step === nameOf({ consumer, stage, type }) ? arm.fault : undefined;
  }

  /** A request's transaction is known by what it tells: the request's correlation stands in it. */
  #aroundRequests(database: Database): Database {
    return {
      home: database.home,
      query: (statement, parameters) => database.query(statement, parameters),
      execute: (statement, parameters) => database.execute(statement, parameters),
      close: () => database.close(),
      replication: (applicationName, settings) => database.replication(applicationName, settings),
      transaction: (work, options) =>
        database.transaction(async (tx) => {
          const told: string[] = [];
          const result = await work(overheard(tx, told));
          this.#passRequest(tx, told);
          return result;
        }, options),
    };
  }

  #passRequest(tx: Transaction, told: readonly string[]): void {
    const struck = [...this.#arms.values()].filter(
      ({ step, correlationId }) => step === requestStep && told.some((text) => text.includes(`"${correlationId}"`)),
    );
    for (const { fault, hits, correlationId } of struck) {
      const tell = () => this.#hit(correlationId);
      if (fault === "failed once" && hits === 0) {
        tell();
        throw new Error("The drill fails this request.");
      }
      if (isDeath(fault)) this.#dieAround(tx, fault, tell);
    }
  }
}

interface Struck {
  readonly arm: ArmedFault;
  readonly event: Delivered;
}

/** The end of the process, as the kernel's memory killer or a lost machine brings it. */
const die = (): void => void process.kill(process.pid, "SIGKILL");

/** A transaction whose tellings are heard. */
const overheard = (tx: Transaction, told: string[]): Transaction => ({
  home: tx.home,
  query: (statement, parameters) => tx.query(statement, parameters),
  execute(statement, parameters) {
    if (/^messaging\.insert-(one-)?outbox/.test(statement.name)) told.push(String(parameters.at(-1)));
    return tx.execute(statement, parameters);
  },
  afterCommit: (react) => tx.afterCommit(react),
});
