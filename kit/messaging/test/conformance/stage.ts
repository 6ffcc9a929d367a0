/** What a behaviour is played on: a service that tells, processes of one that hears, and what they did. */

import { array, bigint, type Database, sql, type Transaction, text, uuid } from "@onsale/postgres";
import { waitFor } from "@onsale/testing";
import type pg from "pg";
import { Type } from "typebox";
import { expect } from "vitest";
import { type CallOrder, type Consumer, consumer } from "../../src/consumers/consumer.ts";
import { type RunningFeeds, startFeeds } from "../../src/consumers/feeds.ts";
import type { ToldAnew } from "../../src/consumers/inbox.ts";
import { type Reader, readersOf } from "../../src/consumers/readers.ts";
import { beginAt, type StartingPoint } from "../../src/consumers/starting-point.ts";
import { type Delivered, defineEvent, type EventDefinition, fact, type Lane } from "../../src/events/event.ts";
import type { Log } from "../../src/log.ts";
import { publish } from "../../src/outbox/publish.ts";
import { type FeedName, type MessagingTelemetry, silentTelemetry } from "../../src/telemetry.ts";
import type { Place } from "./house.ts";
import type { OpenLog } from "./logs.ts";

const schema = Type.Object({
  id: Type.String(),
  step: Type.Integer({ minimum: 1 }),
  note: Type.Optional(Type.Unknown()),
});
const sample = { id: "key-1", step: 1 };

/** The events of a door wait for each other. */
export const moved = defineEvent("door.moved.v1", { key: "id", lanes: { online: true, bulk: true }, schema, sample });

/** The latest of a sign is all that counts, in whichever lane it comes. */
export const painted = defineEvent("sign.painted.v1", {
  key: "id",
  lanes: { online: true, bulk: true },
  laneChange: "latest-wins",
  whenDead: "skip",
  schema,
  sample,
});

/** Told, and heard by nobody here. */
export const rung = defineEvent("bell.rung.v1", { key: "id", lanes: { online: true }, schema, sample });

/** Enough for every partition and slot to have some. Each has a row in `account`, whose version counts its events. */
export const keys: readonly string[] = Array.from({ length: 20 }, (_, index) => `key-${index}`);

export const range = (first: number, last: number): number[] =>
  Array.from({ length: last - first + 1 }, (_, index) => first + index);

/** An effect that was committed. */
export interface Effect {
  readonly owner: string;
  readonly id: string;
  readonly key: string;
  readonly sequence: number;
}

const effectsSql = sql("test.record-effects", {
  takes: [text, array(uuid), array(text), array(bigint)],
  gives: {},
})`
  insert into effect (owner, id, key, sequence)
  select $1, id, key, sequence from unnest($2::uuid[], $3::text[], $4::bigint[]) as event(id, key, sequence)`;

export interface ListenOptions {
  readonly on?: readonly EventDefinition[];
  /** Runs in the handler before (batch) or instead of (each) the effect. */
  readonly at?: (event: Delivered, process: Process) => Promise<void>;
  /** Runs in the handler of a batch behind its effects. */
  readonly behind?: (tx: Transaction, events: readonly Delivered[]) => Promise<void>;
}

export interface ProcessOptions {
  readonly leaseMs?: number;
  readonly slots?: number;
  readonly attempts?: number;
  /** What stands between the feeds and the log. */
  readonly through?: (log: Log) => Log;
  /** Another process has the lease: nothing to wait for. */
  readonly standsBy?: boolean;
}

type PassedOverFact = Parameters<MessagingTelemetry["passedOver"]>[0];

/** A process of the service that hears. */
export interface Process {
  readonly name: string;
  readonly feeds: RunningFeeds;
  /** What its handlers were given, committed or not. */
  readonly given: readonly Delivered[];
  readonly applied: readonly (FeedName & { events: number })[];
  readonly fenced: readonly FeedName[];
  readonly dead: readonly string[];
  readonly anew: readonly ToldAnew[];
  readonly passedOver: readonly PassedOverFact[];
  readonly faults: readonly string[];
  /** Ends it as kill -9 does: nothing of it reaches the database any more, and its lease runs out by itself. */
  kill(): Promise<void>;
}

export class Stage {
  readonly place: Place;
  readonly log: OpenLog;
  readonly admin: pg.Pool;
  readonly #alpha: Database;
  readonly #closing: (() => Promise<unknown>)[] = [];
  readonly #gates: (() => void)[] = [];
  #processes = 0;

  constructor(place: Place, log: OpenLog) {
    this.place = place;
    this.log = log;
    this.admin = place.admin;
    this.#alpha = place.open("alpha");
  }

  get alpha(): Database {
    return this.#alpha;
  }

  /** Something to wait at; opened at the end whatever happens. */
  gate(): { readonly opened: Promise<void>; open(): void } {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#gates.push(resolve);
    return { opened: promise, open: resolve };
  }

  /** Starts a process with one batch consumer that writes each event as an effect. */
  async hear(listen: ListenOptions = {}, options: ProcessOptions = {}): Promise<Process> {
    const { on = [moved, painted], at, behind } = listen;
    return await this.run(
      (process) => [
        consumer("beta.hear", {
          on,
          in: "batch",
          do: async (tx, events) => {
            process.given.push(...events);
            for (const event of events) await at?.(event, process);
            await record(tx, process.name, events);
            await behind?.(tx, events);
          },
        }),
      ],
      options,
    );
  }

  /** The same with a consumer whose calls are what `at` says, and whose outcomes are the effects. */
  async call(
    listen: ListenOptions & { readonly order?: CallOrder; readonly concurrency?: number } = {},
    options: ProcessOptions = {},
  ): Promise<Process> {
    const { on = [moved, painted], at, order = "key", concurrency = 8 } = listen;
    return await this.run(
      (process) => [
        consumer("beta.call", {
          on,
          in: "each",
          order,
          concurrency,
          prepare: async (_tx, events) => events.map((event) => ({ eventId: event.id, work: event as Delivered })),
          call: async (event: Delivered) => {
            process.given.push(event);
            await at?.(event, process);
          },
          settle: async (tx, settled) =>
            void (await record(
              tx,
              process.name,
              settled.map(({ event }) => event),
            )),
        }),
      ],
      options,
    );
  }

  /** Starts a process with these consumers, and waits until it reads. */
  async run(consumersOf: (process: RunningProcess) => readonly Consumer[], options: ProcessOptions): Promise<Process> {
    const process = new RunningProcess(this, `process-${++this.#processes}`, options);
    process.start(consumersOf(process), options);
    this.#closing.push(() => process.end());
    if (options.standsBy !== true) await Promise.all([process.isServed(), this.#untilBothLanesAreRead()]);
    return process;
  }

  /** An operator can only pause a stream that there is. */
  async #untilBothLanesAreRead(): Promise<void> {
    const lanes = "select distinct lane from reader_cursor where epoch > 0";
    await waitFor(async () => (await this.admin.query(lanes)).rows.length === 2, { what: "the streams of both lanes" });
  }

  /** Publishes step after step of every key, each step in a transaction of its own. */
  async tell(
    own: readonly string[],
    steps: readonly number[],
    { event = moved, lane = "online" }: { event?: typeof moved | typeof painted | typeof rung; lane?: Lane } = {},
  ): Promise<void> {
    for (const step of steps) {
      const facts = own.map((id) =>
        fact(event, { data: { id, step }, sequence: step, cause: { correlationId: "test" }, lane }),
      );
      await this.#alpha.transaction((tx) => publish(tx, facts));
    }
  }

  /** A session in which a writer does what `publish` would not let it. */
  async writer(): Promise<Writer> {
    const client = await this.admin.connect();
    this.#closing.push(async () => client.release(true));
    return new Writer(client);
  }

  async effects(): Promise<Effect[]> {
    const { rows } = await this.admin.query(
      "select owner, id, key, sequence::int as sequence from effect order by position",
    );
    return rows;
  }

  async stepsOf(key: string): Promise<number[]> {
    return (await this.effects()).filter((effect) => effect.key === key).map(({ sequence }) => sequence);
  }

  /** Waits until so many effects are committed. */
  async untilEffects(count: number): Promise<void> {
    await waitFor(async () => (await this.effects()).length >= count, { what: `${count} effects` });
  }

  /** Every key's effects are these, once each and in order. */
  async expectSteps(own: readonly string[], steps: readonly number[]): Promise<void> {
    const among = async () => (await this.effects()).filter(({ key }) => own.includes(key));
    await waitFor(async () => (await among()).length >= own.length * steps.length, {
      what: `${steps.length} effects of ${own.length} keys`,
    });
    const grouped = Map.groupBy(await among(), ({ key }) => key);
    for (const key of own)
      expect(
        grouped.get(key)?.map(({ sequence }) => sequence),
        key,
      ).toEqual(steps);
  }

  /** Waits until the process has had everything that was committed before. */
  async untilQuiet({ feeds }: Process): Promise<void> {
    expect(await feeds.passed("alpha", await this.now(), 20_000), "everything was passed").toBe(true);
  }

  async now(): Promise<string> {
    const { rows } = await this.admin.query("select clock_timestamp() as now");
    return rows[0].now.toISOString();
  }

  /** Waits until so many letters are dead. */
  async untilDead(letters: number): Promise<void> {
    const count = "select count(*)::int as dead from dead_letter";
    await waitFor(async () => (await this.admin.query(count)).rows[0].dead === letters, {
      what: `${letters} dead letters`,
    });
  }

  /** The hearing service takes over an export of the telling one, to read on behind it. */
  async takeOver(from: StartingPoint): Promise<void> {
    const database = this.openBeta();
    const { log, close } = this.log.forProcess(database, { slots: 1, knows });
    try {
      await beginAt(database, { reader: "beta", on: [moved, painted], from, log }, async () => undefined);
    } finally {
      await close();
    }
  }

  /** What the hearing service's reader is called where it is operated. */
  get reader(): Reader {
    const [reader] = readersOf("beta", [{ kind: "batch", name: "beta.hear", on: [moved, painted] }], () => "alpha");
    if (!reader) throw new Error("There is no reader.");
    return reader;
  }

  /** Another connection of the hearing service, for what an operator does. */
  openBeta(): Database {
    return this.place.open("beta");
  }

  async close(): Promise<void> {
    for (const open of this.#gates) open();
    await Promise.all(this.#closing.map((close) => close()));
    await this.log.close();
    await this.place[Symbol.asyncDispose]();
  }
}

const knows = (type: string): boolean => type !== rung.type;

const record = (tx: Transaction, owner: string, events: readonly Delivered[]): Promise<number> =>
  tx.execute(effectsSql, [
    owner,
    events.map(({ id }) => id),
    events.map(({ key }) => key),
    events.map(({ sequence }) => sequence),
  ]);

class RunningProcess implements Process {
  readonly name: string;
  readonly given: Delivered[] = [];
  readonly applied: (FeedName & { events: number })[] = [];
  readonly fenced: FeedName[] = [];
  readonly dead: string[] = [];
  readonly anew: ToldAnew[] = [];
  readonly passedOver: PassedOverFact[] = [];
  readonly faults: string[] = [];
  readonly #stage: Stage;
  readonly #database: Database;
  readonly #processLog: ReturnType<OpenLog["forProcess"]>;
  #feeds: RunningFeeds | undefined;
  #isDead = false;

  constructor(stage: Stage, name: string, { slots = 1 }: ProcessOptions) {
    this.name = name;
    this.#stage = stage;
    this.#database = mortal(stage.place.open("beta", name), () => this.#isDead);
    this.#processLog = stage.log.forProcess(this.#database, { slots, knows });
  }

  get feeds(): RunningFeeds {
    if (!this.#feeds) throw new Error(`${this.name} was not started.`);
    return this.#feeds;
  }

  start(consumers: readonly Consumer[], { leaseMs = 3_000, attempts = 2, through }: ProcessOptions): void {
    const { log } = this.#processLog;
    this.#feeds = startFeeds({
      service: "beta",
      database: this.#database,
      consumers,
      ports: { clock: { now: () => "unused" }, ids: { uuid: () => "unused" } },
      sourceOf: () => "alpha",
      log: through ? through(log) : log,
      leaseMs,
      retry: { attempts, firstDelayMs: 20 },
      telemetry: this.#telemetry,
    });
  }

  isServed = (): Promise<unknown> => this.#processLog.isServed();

  async kill(): Promise<void> {
    this.#isDead = true;
    await this.#stage.admin.query(
      `select pg_terminate_backend(pid, 5000) from pg_stat_activity
       where application_name = $1 and datname = current_database()
       union all
       select pg_terminate_backend(active_pid, 5000) from pg_replication_slots
       where database = current_database() and active_pid is not null and slot_name like 'onsale\\_%\\_beta\\_%'`,
      [this.name],
    );
  }

  async end(): Promise<void> {
    await this.feeds.drain(this.#isDead ? 0 : 5_000);
    await this.#processLog.close();
  }

  readonly #telemetry: MessagingTelemetry = {
    ...silentTelemetry,
    batchApplied: (fact) => void this.applied.push(fact),
    fenced: (fact) => void this.fenced.push(fact),
    keyDead: ({ error }) => void this.dead.push(String(error)),
    toldAnew: (fact) => void this.anew.push(fact),
    passedOver: (fact) => void this.passedOver.push(fact),
    interrupted: ({ error }) => void this.faults.push(String(error)),
  };
}

/** A database that a dead process does not reach any more. */
function mortal(database: Database, isDead: () => boolean): Database {
  const living = async <Result>(work: () => Promise<Result>): Promise<Result> => {
    if (isDead()) throw new Error("This process is dead.");
    return await work();
  };
  return {
    home: database.home,
    query: (statement, parameters) => living(() => database.query(statement, parameters)),
    execute: (statement, parameters) => living(() => database.execute(statement, parameters)),
    transaction: (work, options) => living(() => database.transaction(work, options)),
    replication: (name, settings) => living(() => database.replication(name, settings)),
    close: () => database.close(),
  };
}

/** A writer whose transactions a behaviour opens, mixes and ends by hand. */
export class Writer {
  readonly #client: pg.PoolClient;

  constructor(client: pg.PoolClient) {
    this.#client = client;
  }

  async run(statement: string): Promise<void> {
    await this.#client.query(statement);
  }

  /** Appends events to a key, with its row locked before. */
  async append(key: string, count = 1): Promise<void> {
    await this.#client.query(
      `with moved as (update alpha.account set version = version + $2 where key = $1 returning version)
       insert into alpha.outbox_online (id, aggregatetype, aggregateid, type, payload, sequence, headers)
       select gen_random_uuid(), 'door', $1, 'door.moved.v1', jsonb_build_object('id', $1::text, 'step', version - $2 + number),
         version - $2 + number, '{"correlationid":"test"}'
       from moved, generate_series(1, $2::int) as number order by number`,
      [key, count],
    );
  }

  /** Puts a row into the outbox that `publish` would have refused. */
  async slipIn(type: string, key: string, sequence: number, payload: unknown): Promise<void> {
    await this.#client.query(
      `insert into alpha.outbox_online (id, aggregatetype, aggregateid, type, payload, sequence, headers)
       values (gen_random_uuid(), split_part($1, '.', 1), $2, $1, $3, $4, '{"correlationid":"test"}')`,
      [type, key, JSON.stringify(payload), sequence],
    );
  }
}
