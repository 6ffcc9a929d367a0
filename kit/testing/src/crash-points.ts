import { CommitUnknownError, type Database, integer, type Queryable, sql, type Transaction } from "@onsale/postgres";
import pg from "pg";
import { expect } from "vitest";
import { type TestDatabaseContent, testDatabase } from "./database.ts";

/** How a step fails. After an error the program goes on to clean up; a lost connection shows at the next use of it. */
const faults = [
  "an error before",
  "an error after",
  "the connection lost before",
  "the connection lost after",
] as const;
type Fault = (typeof faults)[number];

export interface CrashPoint {
  readonly fault: Fault;
  /** Counted from 1 over statements, commits and outside calls. */
  readonly step: number;
  /** The statement's name, `commit`, or the outside call's name. */
  readonly what: string;
}

/** Makes a call to the outside a step at which the delivery can fail: wrap the ports that a use case is given. */
export type OutsideStep = <Result>(name: string, call: () => Promise<Result>) => Promise<Result>;

export interface CrashScenario<Outcome> {
  readonly content: TestDatabaseContent;
  /** As whose owner the database is opened. */
  readonly schema: string;
  /** What is there before the delivery. */
  readonly prepare?: (database: Database) => Promise<void>;
  /** The use case as its edge runs it, transactions included. Called a second time after the failure, as a redelivery is. */
  readonly deliver: (database: Database, step: OutsideStep) => Promise<void>;
  /** Reads what became of it. */
  readonly outcome: (database: Database) => Promise<Outcome>;
  /** Judges the outcome. Default: it equals that of an undisturbed delivery. */
  readonly check?: (outcome: Outcome, undisturbed: Outcome, point: CrashPoint) => void;
}

// A use case of more steps than this in one delivery does not work in batches.
const stepLimit = 200;

/**
 * Runs a use case once for every way in which it can be broken off: at each of its steps in turn, by each fault, each
 * time from the same contents of the database; then delivers again, undisturbed, and judges the outcome. Prints how many
 * points it hit.
 */
export async function everyCrashPoint<Outcome>(
  scenario: CrashScenario<Outcome>,
): Promise<{ points: number; steps: number }> {
  const { check = (outcome, undisturbed) => expect(outcome).toEqual(undisturbed) } = scenario;
  await using own = await testDatabase(scenario.content);
  const admin = await openAdmin(own.adminUrl);
  // The second delivery goes to a program that was started anew, so it gets connections of its own.
  const stage = { admin, broken: own.open(scenario.schema), again: own.open(scenario.schema) };
  try {
    await scenario.prepare?.(stage.again);
    await keepContents(admin);
    const undisturbed = (await attempt(scenario, stage, undefined)).outcome;
    const hit: CrashPoint[] = [];
    for (let step = 1; step <= stepLimit; step++) {
      const before = hit.length;
      for (const fault of faults) {
        const { outcome, what } = await attempt(scenario, stage, { step, fault });
        if (what === undefined) break;
        const point = { fault, step, what };
        hit.push(point);
        judge(point, () => check(outcome, undisturbed, point));
      }
      if (hit.length === before) break;
    }
    return report(hit);
  } finally {
    await admin.end();
  }
}

function report(hit: readonly CrashPoint[]): { points: number; steps: number } {
  if (hit.length === 0) {
    throw new Error("No crash point was hit: the delivery ran no statement on the database it was given.");
  }
  const steps = new Set(hit.map(({ step }) => step)).size;
  const names = [...new Set(hit.map(({ what }) => what))].join(", ");
  console.log(`${hit.length} crash points hit over ${steps} steps: ${names}`);
  return { points: hit.length, steps };
}

interface Stage {
  readonly admin: pg.Client;
  readonly broken: Database;
  readonly again: Database;
}

async function attempt<Outcome>(
  { deliver, outcome }: CrashScenario<Outcome>,
  { admin, broken, again }: Stage,
  at: Pick<CrashPoint, "step" | "fault"> | undefined,
): Promise<{ outcome: Outcome; what: string | undefined }> {
  await restoreContents(admin);
  const crash = new Crash(at, admin);
  try {
    await deliver(crashing(broken, crash), (name, call) => crash.around(name, call));
  } catch (error) {
    if (crash.what === undefined) throw error;
  }
  await deliver(again, (_, call) => call());
  return { outcome: await outcome(again), what: crash.what };
}

async function openAdmin(url: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url, application_name: "crash points" });
  client.on("error", () => undefined);
  await client.connect();
  return client;
}

/** Every table of the services, the leaves of partitioned ones included. */
const tables = `
  select c.oid::regclass::text as name, format('kept.%I', c.oid::text) as kept,
    (select string_agg(format('%I', attname), ', ' order by attnum) from pg_attribute
     where attrelid = c.oid and attnum > 0 and not attisdropped and attgenerated = '') as columns
  from pg_class c join pg_namespace n on n.oid = c.relnamespace
  where c.relkind = 'r' and n.nspname not in ('kept', 'pg_catalog', 'information_schema')
    and c.relname <> 'migration'`;

/** Remembers what the tables hold. A database of its own per attempt would cost half a second each time. */
async function keepContents(admin: pg.Client): Promise<void> {
  await admin.query(`
    create schema kept;
    do $$ declare it record; begin
      for it in ${tables} loop
        execute format('create table %s as select %s from %s', it.kept, it.columns, it.name);
      end loop;
    end $$`);
}

/** Puts the tables back to what was remembered; triggers and foreign keys don't look. Sequences go on counting. */
async function restoreContents(admin: pg.Client): Promise<void> {
  await admin.query(`
    do $$ declare it record; begin
      set local session_replication_role = replica;
      for it in ${tables} loop
        execute format('delete from %s', it.name);
        execute format('insert into %s (%s) overriding system value select * from %s', it.name, it.columns, it.kept);
      end loop;
    end $$`);
}

function judge({ fault, step, what }: CrashPoint, check: () => void): void {
  try {
    check();
  } catch (error) {
    if (error instanceof Error)
      error.message = `After ${fault} ${what} (step ${step}) and a second delivery: ${error.message}`;
    throw error;
  }
}

/** What stands for the death of the program: nothing that a use case may know. */
class CrashError extends Error {
  override readonly name = "CrashError";
}

/** Counts steps and fails one of them. */
class Crash {
  /** The step that failed; undefined until then. */
  what: string | undefined;
  readonly #at: Pick<CrashPoint, "step" | "fault"> | undefined;
  readonly #admin: pg.Client;
  #steps = 0;

  constructor(at: Pick<CrashPoint, "step" | "fault"> | undefined, admin: pg.Client) {
    this.#at = at;
    this.#admin = admin;
  }

  /** Runs one step; `session` tells which connection it uses, when it uses one. */
  async around<Result>(what: string, work: () => Promise<Result>, session?: () => Promise<number>): Promise<Result> {
    const fault = this.#next(what);
    if (fault === undefined) return work();
    if (fault === "an error before") throw new CrashError(what);
    if (fault === "the connection lost before") await this.#cut(session);
    const result = await work();
    if (fault === "an error after") throw new CrashError(what);
    if (fault === "the connection lost after") await this.#cut(session);
    return result;
  }

  /** The step between the last statement of a transaction and the answer to its COMMIT; gives what to do when it came. */
  async beforeCommit(session: () => Promise<number>): Promise<() => void> {
    const fault = this.#next("commit");
    if (fault === "an error before") throw new CrashError("commit");
    if (fault === "the connection lost before") await this.#cut(session);
    return () => {
      if (fault === "an error after") throw new CrashError("commit");
      if (fault === "the connection lost after") throw new CommitUnknownError("The answer to COMMIT was lost.");
    };
  }

  #next(what: string): Fault | undefined {
    if (++this.#steps !== this.#at?.step) return undefined;
    this.what = what;
    return this.#at.fault;
  }

  async #cut(session: (() => Promise<number>) | undefined): Promise<void> {
    if (session === undefined) throw new CrashError("outside call");
    // Waits until the session has ended, 5 s at most.
    await this.#admin.query("select pg_terminate_backend($1, 5000)", [await session()]);
  }
}

const sessionSql = sql("testing.session", { takes: [], gives: { pid: integer } })`select pg_backend_pid() as pid`;

async function sessionOf(queryable: Queryable): Promise<number> {
  const [row] = await queryable.query(sessionSql, []);
  return row?.pid ?? 0;
}

function crashing(database: Database, crash: Crash): Database {
  return {
    ...crashingQueries(database, crash, () => sessionOf(database)),
    home: database.home,
    close: () => database.close(),
    replication: (applicationName, settings) => database.replication(applicationName, settings),
    async transaction(work, options) {
      let committed = (): void => undefined;
      const result = await database.transaction(async (tx) => {
        const pid = await sessionOf(tx);
        const done = await work(crashingTransaction(tx, crash, async () => pid));
        committed = await crash.beforeCommit(async () => pid);
        return done;
      }, options);
      committed();
      return result;
    },
  };
}

const crashingTransaction = (tx: Transaction, crash: Crash, session: () => Promise<number>): Transaction => ({
  ...crashingQueries(tx, crash, session),
  home: tx.home,
  afterCommit: (react) => tx.afterCommit(react),
});

const crashingQueries = (queryable: Queryable, crash: Crash, session: () => Promise<number>): Queryable => ({
  query: (statement, parameters) => crash.around(statement.name, () => queryable.query(statement, parameters), session),
  execute: (statement, parameters) =>
    crash.around(statement.name, () => queryable.execute(statement, parameters), session),
});
