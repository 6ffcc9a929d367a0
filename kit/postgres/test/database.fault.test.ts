import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  CommitUnknownError,
  type Database,
  databaseNow,
  type EmbeddedPostgres,
  isUnavailable,
  migrate,
  openDatabase,
  startEmbeddedPostgres,
} from "@onsale/postgres";
import { reapWhenWeDie, waitFor } from "@onsale/testing";
import pg from "pg";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { addSql, lockSql, migrations, put, sessionOf, unitsOf } from "./shelf.ts";

// A server of our own, because it is killed and frozen here; with PostgreSQL's own durability, because of that too.
let directory: string;
let reaper: ReturnType<typeof reapWhenWeDie>;
let server: EmbeddedPostgres;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "onsale-database-"));
  reaper = reapWhenWeDie(directory);
  server = await startEmbeddedPostgres({ directory });
  await migrate({ adminUrl: server.localUrl, schema: "shelf", role: "onsale_shelf", sets: [migrations] });
});
afterAll(async () => {
  await server.stop();
  reaper.stop();
  await rm(directory, { recursive: true, force: true });
});

let database: Database;
beforeEach(async () => {
  database = openDatabase({
    ...{ url: server.localUrl, schema: "shelf", role: "onsale_shelf" },
    ...{ connections: 2, applicationName: "fault test", statementTimeoutMs: 1_000 },
  });
  await waitFor(() => databaseNow(database));
});
afterEach(() => database.close());

/** Ends a session from outside, as a fail-over or an administrator does, and waits until it is gone. */
async function terminate(session: number): Promise<void> {
  const admin = new pg.Client({ connectionString: server.localUrl });
  await admin.connect();
  await admin.query("select pg_terminate_backend($1, 10000)", [session]);
  await admin.end();
}

/** Kills the postmaster and waits until another one runs. */
async function killPostmaster(): Promise<void> {
  const before = server.pid;
  process.kill(before, "SIGKILL");
  await waitFor(() => server.pid !== before);
}

test("a connection lost in mid-transaction fails the transaction, leaves nothing, and the next one gets another", async () => {
  const cut = database.transaction(async (tx) => {
    await put(tx, "cut", 1);
    await terminate(await sessionOf(tx));
    await put(tx, "cut", 2);
  });
  await expect(cut).rejects.toSatisfy(isUnavailable);
  expect(await unitsOf(database, "cut")).toBeUndefined();
  await database.transaction((tx) => put(tx, "cut", 3));
  expect(await unitsOf(database, "cut")).toBe(3);
});

test("a connection lost while nobody uses it is not even noticed", async () => {
  const idle = await database.transaction(sessionOf);
  const line = await sessionOf(database);
  await Promise.all([terminate(idle), terminate(line)]);
  await waitFor(async () => (await database.transaction(sessionOf)) !== idle);
  await waitFor(async () => (await sessionOf(database)) !== line);
});

test("a connection lost before COMMIT was answered is told as unknown, never as failed", async () => {
  const heard: string[] = [];
  const unknown = database.transaction(async (tx) => {
    tx.afterCommit(() => heard.push("committed"));
    await put(tx, "unknown", 1);
    await terminate(await sessionOf(tx));
  });
  await expect(unknown).rejects.toThrow(CommitUnknownError);
  await expect(unknown).rejects.toSatisfy(isUnavailable);
  expect(heard).toEqual([]);
});

test("a lost line fails what was under way on it, and carries on with another connection", async () => {
  const session = await sessionOf(database);
  await put(database, "line", 0);
  await database.transaction(async (tx) => {
    await tx.query(lockSql, ["line"]);
    const behindLock = [1, 2, 3].map(() => database.query(addSql, ["line", 1]));
    const failures = Promise.all(behindLock.map((one) => expect(one).rejects.toSatisfy(isUnavailable)));
    await terminate(session);
    await failures;
  });
  expect(await unitsOf(database, "line")).toBe(0);
  expect(await sessionOf(database)).not.toBe(session);
});

test("kill -9 of the postmaster in mid-transaction: the committed is there, the uncommitted is not, work goes on", async () => {
  await database.transaction((tx) => put(tx, "survives", 1));
  const broken = database.transaction(async (tx) => {
    await put(tx, "survives", 2);
    await killPostmaster();
    await put(tx, "survives", 3);
  });
  await expect(broken).rejects.toSatisfy(isUnavailable);
  await waitFor(() => databaseNow(database));
  expect(await unitsOf(database, "survives")).toBe(1);
  await database.transaction((tx) => put(tx, "survives", 4));
  expect(await unitsOf(database, "survives")).toBe(4);
});

test("every answered commit of a stream of them survives kill -9 of the postmaster", async () => {
  await put(database, "stream", 0);
  let answered = 0;
  let counting = true;
  const stream = (async () => {
    while (counting) {
      try {
        await database.transaction((tx) => tx.query(addSql, ["stream", 1]));
        answered++;
      } catch (error) {
        if (!isUnavailable(error)) throw error;
      }
    }
  })();
  for (let kills = 1; kills <= 3; kills++) {
    const before = answered;
    await waitFor(() => answered > before + 20);
    await killPostmaster();
  }
  await waitFor(() => databaseNow(database));
  counting = false;
  await stream;
  // Each kill can leave one commit unknown: done and not answered.
  const units = (await unitsOf(database, "stream")) ?? 0;
  expect(units).toBeGreaterThanOrEqual(answered);
  expect(units).toBeLessThanOrEqual(answered + 3);
});

test("a frozen server is told as unavailable within the statement's time; thawed, it serves again by itself", async () => {
  await put(database, "frozen", 1);
  const sessions = [server.pid, await sessionOf(database), await database.transaction(sessionOf)];
  for (const pid of sessions) process.kill(pid, "SIGSTOP");
  const beganAt = performance.now();
  try {
    const attempts = [
      unitsOf(database, "frozen"),
      unitsOf(database, "frozen"),
      database.transaction((tx) => unitsOf(tx, "frozen")),
    ];
    for (const { status, ...rest } of await Promise.allSettled(attempts)) {
      expect(status).toBe("rejected");
      expect(isUnavailable((rest as PromiseRejectedResult).reason)).toBe(true);
    }
    // New connections are accepted by the kernel and answered by nobody.
    await expect(database.transaction(sessionOf)).rejects.toSatisfy(isUnavailable);
    await expect(sessionOf(database)).rejects.toSatisfy(isUnavailable);
    expect(performance.now() - beganAt).toBeLessThan(20_000);
  } finally {
    for (const pid of sessions) process.kill(pid, "SIGCONT");
  }
  await waitFor(() => databaseNow(database));
  expect(await database.transaction((tx) => unitsOf(tx, "frozen"))).toBe(1);
});

test("a frozen server does not hold up closing", async () => {
  const frozen = openDatabase({ url: server.localUrl, connections: 1, applicationName: "to be frozen" });
  const sessions = [await sessionOf(frozen), await frozen.transaction(sessionOf)];
  for (const pid of sessions) process.kill(pid, "SIGSTOP");
  try {
    await frozen.close();
  } finally {
    for (const pid of sessions) process.kill(pid, "SIGCONT");
  }
});

test("while the server is away everything is told as unavailable, at once", async () => {
  const away = openDatabase({ url: "postgres://onsale@127.0.0.1:1/onsale", connections: 1, applicationName: "away" });
  await expect(databaseNow(away)).rejects.toSatisfy(isUnavailable);
  await expect(away.transaction(sessionOf)).rejects.toSatisfy(isUnavailable);
  await away.close();
});
