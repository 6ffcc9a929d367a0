/** What a drill costs the machine: processor time of the server and of this process, what the disk did, and versions of rows that can't leave. */

import { readdir, readFile } from "node:fs/promises";
import { bigint, type Database, double, integer, sql, text } from "@onsale/postgres";

/** What was done between two looks. */
export interface Work {
  /** Processor time of all processes of the server, milliseconds; undefined where it runs on another machine. */
  readonly serverMs: number | undefined;
  /** The same of this process. */
  readonly ownMs: number;
  /** Of the server's log, each of which makes commits durable. */
  readonly syncs: number;
  readonly syncMs: number;
  readonly checkpoints: number;
  /** What checkpoints waited for the disk. */
  readonly checkpointSyncMs: number;
}

const workSql = sql("drills.server-work", {
  takes: [],
  gives: { backend: integer, syncs: bigint, syncMs: double, checkpoints: bigint, checkpointSyncMs: double },
})`
  select pg_backend_pid() as backend, coalesce(sum(fsyncs), 0)::bigint as syncs, coalesce(sum(fsync_time), 0)::float8 as "syncMs",
    (select num_timed + num_requested from pg_stat_checkpointer) as checkpoints,
    (select sync_time from pg_stat_checkpointer) as "checkpointSyncMs"
  from pg_stat_io where object = 'wal'`;

const deadSql = sql("drills.dead-versions", { takes: [], gives: { name: text, dead: bigint } })`
  select schemaname || '.' || relname as name, n_dead_tup as dead from pg_stat_all_tables
  where schemaname in ('source', 'sink') and n_dead_tup > 0`;

/** Looks at the server's work since the look before. */
export class WorkWatch {
  readonly #admin: Database;
  #before: Work;

  private constructor(admin: Database, now: Work) {
    this.#admin = admin;
    this.#before = now;
  }

  static async begin(admin: Database): Promise<WorkWatch> {
    return new WorkWatch(admin, await workSoFar(admin));
  }

  async since(): Promise<Work> {
    const [before, now] = [this.#before, await workSoFar(this.#admin)];
    this.#before = now;
    const both = before.serverMs !== undefined && now.serverMs !== undefined;
    return {
      serverMs: both ? now.serverMs - before.serverMs : undefined,
      ownMs: now.ownMs - before.ownMs,
      syncs: now.syncs - before.syncs,
      syncMs: now.syncMs - before.syncMs,
      checkpoints: now.checkpoints - before.checkpoints,
      checkpointSyncMs: now.checkpointSyncMs - before.checkpointSyncMs,
    };
  }

  /** Versions of rows that nobody needs, by table, as the server estimates them. */
  async deadVersions(): Promise<Record<string, number>> {
    return Object.fromEntries((await this.#admin.query(deadSql, [])).map(({ name, dead }) => [name, dead]));
  }
}

async function workSoFar(admin: Database): Promise<Work> {
  const [row] = await admin.query(workSql, []);
  if (!row) throw new Error("The server tells nothing of its work.");
  const { backend, ...told } = row;
  const { user, system } = process.cpuUsage();
  return { ...told, serverMs: await processorMsOfServer(backend), ownMs: (user + system) / 1_000 };
}

/** A hundredth of a second, on every Linux. */
const msPerTick = 10;

/** Of the process that started this backend, of all that it started, and of those that have ended. */
async function processorMsOfServer(backend: number): Promise<number | undefined> {
  const parent = (await timesOf(String(backend)))?.parent;
  const first = parent === undefined ? undefined : await timesOf(parent);
  if (parent === undefined || !first) return undefined;
  const others = (await readdir("/proc")).filter((name) => /^\d+$/.test(name));
  const children = (await Promise.all(others.map(timesOf))).filter((times) => times?.parent === parent);
  return children.reduce((sum, times) => sum + (times?.ownMs ?? 0), first.ownMs + first.endedMs);
}

/** Undefined for a process that is gone, or where there is no such file system. */
async function timesOf(pid: string) {
  const line = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => "");
  if (!line) return undefined;
  // Behind the name, which may hold anything: state, parent, ..., and as the 14th to 17th field of all the times.
  const fields = line.slice(line.lastIndexOf(")") + 2).split(" ");
  const [user = 0, system = 0, endedUser = 0, endedSystem = 0] = fields.slice(11, 15).map(Number);
  return {
    parent: fields[1] ?? "",
    ownMs: (user + system) * msPerTick,
    endedMs: (endedUser + endedSystem) * msPerTick,
  };
}
