import type { Transaction } from "@onsale/postgres";
import type { Delivered } from "../events/event.ts";
import type { Chunk, Cursor, ReadEvent } from "../log.ts";
import { Signal } from "../signal.ts";
import type { CallPlaces } from "./call-places.ts";
import type { BasePorts, CallOrder, EachConsumer, Prepared } from "./consumer.ts";
import { type Feed, isFaultOfMachine, PoisonError, pause } from "./feed.ts";
import { claim, inboxKey, unseen } from "./inbox.ts";
import { isAnyParked, isParked, lockParked, park, waitBehind, withJitter } from "./parking.ts";
import type { Progress } from "./progress.ts";

/** Events prepared or settled in one transaction at most. */
const transactionLimit = 500;

/** Events read ahead per concurrent call: enough that calls never wait for the next read, few enough to be repeated after a crash. */
const aheadPerCall = 8;

/** Events prepared ahead per concurrent call: as a rule the next are prepared before the last of them is called. */
const preparedPerCall = 4;

/** Events read ahead at least: two full transactions, so that few and quick calls at once do not make small transactions. */
const aheadAtLeast = 2 * transactionLimit;

/**
 * Events read behind the first that is not settled at most, as a multiple: one slow call does not hold up the others, and
 * whoever takes over does not have to look through too many that were settled.
 */
const aheadOfSlowest = 10;

/** An event on its way from being read to being settled. */
interface Task {
  readonly event: Delivered;
  /** As it was read, with the place behind it, which is asked for of a few only. */
  readonly read: ReadEvent;
  /** Milliseconds since 1970. */
  readonly fetchedAt: number;
  /** Those that wait for one another (events of a key, as a rule); only the first of a line is under way. */
  readonly line: string;
  /** Waits for this one. */
  next: Task | undefined;
  settled: boolean;
}

type Result =
  | { readonly kind: "nothing-to-do" }
  | { readonly kind: "called"; readonly work: unknown; readonly outcome: unknown }
  | { readonly kind: "failed"; readonly error: unknown; readonly isLast?: boolean };

/** What of a batch is to be called; the rest has nothing to do. */
interface ToCall<Ports> {
  readonly prepared: readonly Prepared<unknown>[];
  readonly ports: Ports;
}

interface Finished {
  readonly task: Task;
  readonly result: Result;
}

/**
 * The events that one tenure of an `each` feed has under way: prepared in batches, called concurrently across keys and in
 * order within a key, settled in batches. The saved cursor follows the highest position up to which everything is settled;
 * what is settled beyond it is known by the inbox, so that a restart repeats only what was under way.
 */
export class EventFlight<Ports extends BasePorts> {
  readonly #feed: Feed;
  readonly #progress: Progress;
  readonly #consumer: EachConsumer<Ports>;
  readonly #places: CallPlaces;
  readonly #ports: Ports;
  /** Nothing new is begun once it aborts; `fault`, which aborts it too, also leaves what is under way. */
  readonly #stop: AbortSignal;
  readonly #fault: AbortSignal;
  readonly #limit: number;
  readonly #order: CallOrder;
  /** Events to come that are run one by one, because an owner was killed while it had them under way. */
  #suspects: number;
  /** The next event ended one owner too many: it is set aside untried. */
  #poison: boolean;
  /** In the order of reading; the first is the first that is not settled. */
  #outstanding: Task[] = [];
  #unsettled = 0;
  /** Where reading has come to: the cursor once everything outstanding is settled. */
  #readTo: Cursor;
  /** The last task of each line. */
  readonly #lines = new Map<string, Task>();
  #ready: Task[] = [];
  #finished: Finished[] = [];
  readonly #prepared: { readonly task: Task; readonly work: unknown; readonly ports: Ports }[] = [];
  #calls = 0;
  /** Whether `stop` has aborted: asked for every event, of a signal that is made of others it would be dear. */
  #isStopping = false;
  // One for each of the loops, so that an event that changes something for one of them does not wake the others.
  readonly #room = new Signal();
  readonly #toPrepare = new Signal();
  readonly #toSettle = new Signal();

  constructor(options: {
    feed: Feed;
    progress: Progress;
    consumer: EachConsumer<Ports>;
    /** Shared with the other streams of the consumer. */
    places: CallPlaces;
    ports: Ports;
    stop: AbortSignal;
    fault: AbortSignal;
  }) {
    this.#feed = options.feed;
    this.#progress = options.progress;
    this.#consumer = options.consumer;
    this.#places = options.places;
    this.#ports = options.ports;
    this.#stop = options.stop;
    this.#fault = options.fault;
    this.#order = options.consumer.order ?? "key";
    this.#limit = Math.max(options.consumer.concurrency * aheadPerCall, aheadAtLeast);
    this.#suspects = options.progress.uncleanTakes > 0 ? this.#limit : 0;
    this.#poison = options.feed.isPoison(options.progress);
    this.#readTo = options.progress.saved;
    this.#stop.addEventListener("abort", () => this.#wakeAll());
    this.#fault.addEventListener("abort", () => this.#wakeAll());
    this.#wakeAll();
  }

  #wakeAll(): void {
    this.#isStopping = this.#stop.aborted;
    for (const signal of [this.#room, this.#toPrepare, this.#toSettle]) signal.notify();
  }

  get isEmpty(): boolean {
    return this.#outstanding.length === 0;
  }

  /** Waits until events may be read, and tells how many; 0 when it is time to stop. */
  async room(): Promise<number> {
    while (!this.#isStopping && this.#space === 0) await this.#room.next();
    return this.#isStopping ? 0 : Math.min(transactionLimit, this.#space);
  }

  get #space(): number {
    if (this.#suspects > 0) return this.isEmpty ? 1 : 0;
    const { length } = this.#outstanding;
    return Math.max(0, Math.min(this.#limit - this.#unsettled, aheadOfSlowest * this.#limit - length));
  }

  accept({ events, after, drained }: Chunk): void {
    this.#suspects = drained ? 0 : this.#suspects - events.length;
    const fetchedAt = Date.now();
    for (const read of events) {
      const { event } = read;
      this.#enqueue({ event, read, fetchedAt, line: this.#lineOf(event), next: undefined, settled: false });
    }
    this.#readTo = after;
    this.#toPrepare.notify();
  }

  /** Prepares what is ready, ahead of the calls so that batches stay large, until it is time to stop. */
  async prepareLoop(): Promise<void> {
    while (!this.#isStopping) {
      if (this.#ready.length === 0 || this.#hasEnoughPrepared) await this.#toPrepare.next();
      else await this.#prepare(this.#ready.splice(0, transactionLimit));
    }
  }

  /** Settles what has finished; when it is time to stop, until the last call under way has been settled too. */
  async settleLoop(): Promise<void> {
    while (!this.#fault.aborted) {
      if (this.#finished.length > 0) {
        await this.#settle(this.#finished.splice(0, transactionLimit));
      } else if (this.#isStopping && this.#calls === 0) {
        return;
      } else {
        await this.#toSettle.next();
      }
    }
  }

  #enqueue(task: Task): void {
    this.#outstanding.push(task);
    this.#unsettled++;
    const before = this.#lines.get(task.line);
    this.#lines.set(task.line, task);
    if (before) before.next = task;
    else this.#ready.push(task);
  }

  #lineOf(event: Delivered): string {
    switch (this.#order) {
      case "key":
        return inboxKey(event);
      case "partition":
        return "";
      case "unordered":
        return event.id;
    }
  }

  /** The events as the inbox knows them. Without order a key's highest sequence says nothing of those below it. */
  #known(events: readonly Delivered[]): readonly Delivered[] {
    return this.#order === "unordered" ? events.map((event) => ({ ...event, key: event.id, sequence: 1 })) : events;
  }

  async #lockParked(tx: Transaction, events: readonly Delivered[]): Promise<ReadonlySet<string>> {
    return this.#order === "unordered" ? new Set() : await lockParked(tx, this.#feed.name.reader, events);
  }

  async #prepare(tasks: readonly Task[]): Promise<void> {
    const [first] = tasks;
    if (this.#poison && first) {
      this.#poison = false;
      if (await this.#endedItsOwners(first)) {
        this.#finish({ task: first, result: this.#failureOf(first, new PoisonError()) });
        if (tasks.length > 1) await this.#prepare(tasks.slice(1));
        return;
      }
    }
    try {
      const { prepared, ports } =
        (this.#consumer.isCallOnly && (await this.#lookUp(tasks))) ||
        (await this.#feed.inTransaction((tx) => this.#prepareIn(tx, tasks)));
      const works = new Map(prepared.map((one) => [one.eventId, one]));
      for (const task of tasks) {
        const own = works.get(task.event.id);
        if (own) this.#prepared.push({ task, work: own.work, ports });
        else this.#finish({ task, result: { kind: "nothing-to-do" } });
      }
      this.#startCalls();
    } catch (error) {
      if (isFaultOfMachine(error)) throw error;
      const [only] = tasks;
      if (tasks.length === 1 && only) this.#finish({ task: only, result: this.#failureOf(only, error) });
      else for (const task of tasks) await this.#prepare([task]);
    }
  }

  /** Whether the consumer would have had the event: one that was applied before, or waits behind its key, ended nobody. */
  async #endedItsOwners({ event }: Task): Promise<boolean> {
    const { reader } = this.#feed.name;
    return await this.#feed.inTransaction(async (tx) => {
      const [parked, fresh] = await Promise.all([
        this.#lockParked(tx, [event]),
        unseen(tx, reader, this.#known([event])),
      ]);
      return fresh.length > 0 && parked.size === 0;
    });
  }

  /**
   * What only has to be called: nothing is written, so the database is asked without a transaction. Undefined where a key is set
   * aside: then something may have to be written.
   */
  async #lookUp(tasks: readonly Task[]): Promise<ToCall<Ports> | undefined> {
    const { database, name } = this.#feed;
    const events = tasks.map(({ event }) => event);
    const [now, isAnyAside, fresh] = await Promise.all([
      this.#progress.check(database),
      this.#order !== "unordered" && isAnyParked(database, name.reader),
      unseen(database, name.reader, this.#known(events), this.#feed.findings()),
    ]);
    if (isAnyAside) return undefined;
    const ids = new Set(fresh.map(({ id }) => id));
    const own = events.filter(({ id }) => ids.has(id));
    return { prepared: own.map((event) => ({ eventId: event.id, work: event })), ports: this.#portsAt(now) };
  }

  async #prepareIn(tx: Transaction, tasks: readonly Task[]): Promise<ToCall<Ports>> {
    const { reader } = this.#feed.name;
    const events = tasks.map(({ event }) => event);
    const [now, parked, unseenEvents] = await Promise.all([
      this.#progress.check(tx),
      this.#lockParked(tx, events),
      unseen(tx, reader, this.#known(events), this.#feed.findingsIn(tx)),
    ]);
    const unseenIds = new Set(unseenEvents.map(({ id }) => id));
    const fresh = events.filter(({ id }) => unseenIds.has(id));
    if (parked.size > 0)
      await this.#setBehind(
        tx,
        fresh.filter((event) => isParked(parked, event)),
      );
    const own = parked.size > 0 ? fresh.filter((event) => !isParked(parked, event)) : fresh;
    const ports = this.#portsAt(now);
    const ids = new Set(own.map(({ id }) => id));
    const prepared = own.length > 0 ? await this.#consumer.prepare(tx, own, ports) : [];
    return { prepared: prepared.filter(({ eventId }) => ids.has(eventId)), ports };
  }

  #portsAt(now: string): Ports {
    return { ...this.#ports, clock: { now: () => now } };
  }

  async #setBehind(tx: Transaction, events: readonly Delivered[]): Promise<void> {
    const { reader } = this.#feed.name;
    await waitBehind(tx, reader, events);
    // Claimed at once: were it left to settling, a crash in between would bring them again after their key was freed.
    await claim(tx, reader, this.#known(events), this.#feed.findingsIn(tx));
  }

  /** What was prepared and is not called when it is time to stop, is prepared again by whoever reads on. */
  #startCalls(): void {
    while (!this.#isStopping && this.#prepared.length > 0 && this.#places.take(this.#withPlace)) this.#callNext();
    if (!this.#hasEnoughPrepared) this.#toPrepare.notify();
  }

  /** It has waited for a place, and gets in line again for the rest of what is prepared. */
  readonly #withPlace = (): void => {
    if (this.#isStopping) {
      this.#places.giveBack();
    } else {
      this.#callNext();
      this.#startCalls();
    }
  };

  #callNext(): void {
    const next = this.#prepared.shift();
    if (next) void this.#call(next.task, next.work, next.ports);
    else this.#places.giveBack();
  }

  get #hasEnoughPrepared(): boolean {
    return this.#prepared.length >= preparedPerCall * this.#consumer.concurrency;
  }

  async #call(task: Task, work: unknown, ports: Ports): Promise<void> {
    this.#calls++;
    const result = await this.#tryCall(task, work, ports);
    this.#calls--;
    if (result) this.#finish({ task, result });
    else this.#toSettle.notify();
    this.#startCalls();
  }

  /** With a place: calls until it succeeds or has failed for good; undefined when it is time to stop in between. */
  async #tryCall(task: Task, work: unknown, ports: Ports): Promise<Result | undefined> {
    // Elsewhere a failing event is set aside at once, and tried again from there while the others flow.
    const attempts = this.#order === "partition" ? this.#feed.retry.attempts : 1;
    for (let attempt = 1; ; attempt++) {
      try {
        return { kind: "called", work, outcome: await this.#consumer.call(work, ports, this.#fault) };
      } catch (error) {
        if (attempt >= attempts) return { ...this.#failureOf(task, error), isLast: this.#order === "partition" };
      } finally {
        this.#places.giveBack();
      }
      await pause(withJitter(this.#feed.retry.firstDelayMs * 2 ** (attempt - 1)), this.#stop);
      if (!(await this.#places.taken(this.#stop))) return undefined;
    }
  }

  #failureOf({ event }: Task, error: unknown): Result & { readonly kind: "failed" } {
    return { kind: "failed", error: this.#feed.faultOf(event, error) };
  }

  #finish(finished: Finished): void {
    this.#finished.push(finished);
    this.#toSettle.notify();
  }

  async #settle(finished: readonly Finished[]): Promise<void> {
    const startedAt = performance.now();
    try {
      await this.#feed.inTransaction((tx) => this.#settleIn(tx, finished));
    } catch (error) {
      if (isFaultOfMachine(error)) throw error;
      const [only] = finished;
      if (finished.length > 1) for (const one of finished) await this.#settle([one]);
      else if (only && only.result.kind !== "failed")
        await this.#settle([{ task: only.task, result: this.#failureOf(only.task, error) }]);
      else throw error;
      return;
    }
    const [oldest] = finished;
    if (oldest) {
      this.#feed.tellApplied(
        finished.map(({ task }) => task.read),
        { milliseconds: performance.now() - startedAt, fetchedAt: oldest.task.fetchedAt },
      );
    }
    this.#unsettled -= finished.length;
    for (const { task, result } of finished) {
      task.settled = true;
      if (result.kind === "failed") this.#feed.tellParked(task.event, result.error);
      this.#advanceLine(task);
    }
    this.#outstanding = this.#outstanding.slice(this.#settledHead(new Set()));
    this.#room.notify();
    this.#toPrepare.notify();
  }

  async #settleIn(tx: Transaction, finished: readonly Finished[]): Promise<void> {
    const events = finished.map(({ task }) => task.event);
    const [now] = await Promise.all([
      this.#progress.move(tx, this.#cursorAfter(finished)),
      claim(tx, this.#feed.name.reader, this.#known(events), this.#feed.findingsIn(tx)),
    ]);
    const ports = this.#portsAt(now);
    const called = finished.flatMap(({ task, result }) =>
      result.kind === "called" ? [{ event: task.event, work: result.work, outcome: result.outcome }] : [],
    );
    if (called.length > 0) await this.#consumer.settle(tx, called, ports);
    for (const { task, result } of finished) {
      if (result.kind !== "failed") continue;
      const rule = this.#feed.parkingRule(task.event, result.error);
      await park(tx, this.#feed.name, task.event, result.error, result.isLast ? { ...rule, dead: true } : rule);
    }
  }

  /** How far everything is settled once `finished` is. */
  #cursorAfter(finished: readonly Finished[]): Cursor {
    const head = this.#settledHead(new Set(finished.map(({ task }) => task)));
    if (head === this.#outstanding.length) return this.#readTo;
    return this.#outstanding[head - 1]?.read.after ?? this.#progress.saved;
  }

  #settledHead(alsoSettled: ReadonlySet<Task>): number {
    const first = this.#outstanding.findIndex((task) => !task.settled && !alsoSettled.has(task));
    return first === -1 ? this.#outstanding.length : first;
  }

  #advanceLine(task: Task): void {
    if (task.next) this.#ready.push(task.next);
    else this.#lines.delete(task.line);
    // What has grown old would keep what is young, and that the next: the collector would copy whole lines that are done.
    task.next = undefined;
  }
}
