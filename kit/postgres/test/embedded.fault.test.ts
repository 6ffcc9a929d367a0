import { execFileSync, spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { chmod, mkdir, mkdtemp, readdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import {
  databaseNow,
  type EmbeddedPostgres,
  EmbeddedPostgresInUseError,
  type EmbeddedPostgresOptions,
  integer,
  openDatabase,
  sql,
  startEmbeddedPostgres,
  text,
} from "@onsale/postgres";
import { present, quickestOf, reapWhenWeDie, type SpawnedNode, spawnNode, waitFor } from "@onsale/testing";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, onTestFinished, test } from "vitest";

// One cluster for most tests, whatever the one before did to it: that a start copes with that is what is promised.
let shared: string;
let reaper: ReturnType<typeof reapWhenWeDie>;
beforeAll(async () => {
  shared = await mkdtemp(join(tmpdir(), "onsale-embedded-"));
  reaper = reapWhenWeDie(join(shared, "postgres"));
  await startEmbeddedPostgres({ directory: join(shared, "postgres") }).then((server) => server.stop());
});
afterAll(async () => {
  reaper.stop();
  await rm(shared, { recursive: true, force: true });
});

let directory: string;
beforeEach(() => {
  directory = join(shared, "postgres");
});

/** For the rest of the test, a folder without a cluster, which nobody but us may enter, as a home directory is. */
async function freshDirectory(): Promise<void> {
  const home = await mkdtemp(join(tmpdir(), "onsale-embedded-"));
  directory = join(home, "with a space", "postgres");
  const reaperOfTest = reapWhenWeDie(directory);
  onTestFinished(async () => {
    reaperOfTest.stop();
    await rm(home, { recursive: true, force: true });
  });
}

const begun: EmbeddedPostgres[] = [];
afterEach(async () => {
  await Promise.all(begun.splice(0).map((server) => server.stop()));
  await killPostmaster();
});

/** Starts a server that the test need not stop. */
async function start(options: Partial<EmbeddedPostgresOptions> = {}): Promise<EmbeddedPostgres> {
  const server = await startEmbeddedPostgres({ directory, ...options });
  begun.push(server);
  return server;
}

/** What a test that failed may leave. */
async function killPostmaster(): Promise<void> {
  const file = await readFile(join(directory, "data/postmaster.pid"), "utf8").catch(() => "");
  const pid = Number.parseInt(file, 10);
  if (pid > 0 && isRunning(pid)) process.kill(pid, "SIGKILL");
}

const script = new URL("./server-process.ts", import.meta.url);

interface Ready {
  readonly url: string;
  readonly port: number;
  readonly pid: number;
  /** Milliseconds from the call to accepting connections. */
  readonly ms: number;
}

async function startInProcess(wrapper: readonly string[] = []): Promise<{ node: SpawnedNode; ready: Ready }> {
  const node = await spawnNode(script, { args: [directory], wrapper });
  const line = await node.line(/^ready: /, 60_000);
  return { node, ready: JSON.parse(line.slice("ready: ".length)) };
}

async function stopProcess(node: SpawnedNode): Promise<void> {
  node.signal("SIGTERM");
  // Not by the signal: then nobody has stopped its server.
  expect(await node.ended).toBe(0);
}

const writeSql = sql("embedded.write", { takes: [integer], gives: {} })`insert into kept (value) values ($1)`;
const readSql = sql("embedded.read", { takes: [], gives: { value: integer } })`select value from kept order by value`;
const dropSql = sql("embedded.drop-table", { takes: [], gives: {} })`drop table if exists kept`;
const createSql = sql("embedded.create", { takes: [], gives: {} })`create table if not exists kept (value int)`;

const secretSql = sql("embedded.secret", { takes: [], gives: { secret: text } })`
  select rolpassword as secret from pg_authid where rolname = current_user`;

/** Writes the first value, into a table of its own. */
async function writeFirst(url: string): Promise<void> {
  const database = openDatabase({ url, connections: 1, applicationName: "embedded test" });
  await database.execute(dropSql, []);
  await database.close();
  await writeAndRead(url, 1);
}

/** Writes a value, committed, and gives all that are there. */
async function writeAndRead(url: string, value: number): Promise<number[]> {
  const database = openDatabase({ url, connections: 1, applicationName: "embedded test" });
  try {
    await database.execute(createSql, []);
    await database.execute(writeSql, [value]);
    return (await database.query(readSql, [])).map((row) => row.value);
  } finally {
    await database.close();
  }
}

async function isReachable(url: string): Promise<boolean> {
  const database = openDatabase({ url, connections: 1, applicationName: "embedded test" });
  try {
    await databaseNow(database);
    return true;
  } catch {
    return false;
  } finally {
    await database.close();
  }
}

/** Whether a process runs; one that has ended and that nobody has asked about yet (Z) does not. */
const isRunning = (pid: number): boolean => !["", "Z"].includes(stateOf(pid).state);

function stateOf(pid: number): { readonly state: string; readonly group: string } {
  if (process.platform !== "linux") {
    const { stdout } = spawnSync("ps", ["-o", "stat=,pgid=", "-p", String(pid)], { encoding: "utf8" });
    const [state = "", group = ""] = stdout.trim().split(/\s+/);
    return { state: state.slice(0, 1), group };
  }
  try {
    const [state = "", , group = ""] = readFileSync(`/proc/${pid}/stat`, "utf8")
      .replace(/^.*\) /, "")
      .split(" ");
    return { state, group };
  } catch {
    return { state: "", group: "" };
  }
}

describe("an ordinary life", () => {
  test("starts, keeps what was written over a stop, and gets the same port and password again", async () => {
    await freshDirectory();
    const first = await start();
    expect(await writeAndRead(first.url, 1)).toEqual([1]);
    await first.stop();
    expect(await isReachable(first.url)).toBe(false);
    const second = await start();
    expect(second.url).toBe(first.url);
    expect(await writeAndRead(second.url, 2)).toEqual([1, 2]);
  });

  test("a later start takes less than a second and a half", async () => {
    expect(await quickestOf(3, start, (server) => server.stop())).toBeLessThan(1_500);
  });

  test("is to be reached with the password only, over loopback or our own socket, and the password is ours alone", async () => {
    const server = await start();
    const [url, localUrl] = [new URL(server.url), new URL(server.localUrl)];
    expect(url.hostname).toBe("127.0.0.1");
    const socketFolder = decodeURIComponent(localUrl.hostname);
    expect(socketFolder).toBe(join(directory, "socket"));
    expect((await stat(socketFolder)).mode & 0o777).toBe(0o700);
    expect((await stat(join(directory, "password"))).mode & 0o777).toBe(0o600);
    for (const guess of [url, localUrl]) {
      expect(await isReachable(guess.href)).toBe(true);
      guess.password = "guess";
      expect(await isReachable(guess.href)).toBe(false);
    }
    expect(await settingOf(server, "listen_addresses")).toBe("127.0.0.1");
    expect(await readFile(join(directory, "data/pg_hba.conf"), "utf8")).not.toMatch(/^[^#]*\btrust\b/m);
  });

  test("does without a socket where its path would be too long", async () => {
    const server = await start({ directory: join(directory, "x".repeat(100)) });
    expect(server.localUrl).toBe(server.url);
    expect(await settingOf(server, "unix_socket_directories")).toBe("");
  });

  test("a lock file on the socket that names a living stranger does not keep it from starting", async () => {
    const first = await start();
    await first.stop();
    const lock = join(directory, "socket", `.s.PGSQL.${first.port}.lock`);
    await writeFile(lock, `${process.ppid}\n${join(directory, "data")}\n0\n${first.port}\n\n`);
    const second = await start();
    expect(await isReachable(second.localUrl)).toBe(true);
  });

  test("keeps PostgreSQL's own durability, and can be read by log readers", async () => {
    const server = await start();
    for (const name of ["fsync", "synchronous_commit", "full_page_writes"]) {
      expect(await settingOf(server, name), name).toBe("on");
    }
    expect(await settingOf(server, "wal_level")).toBe("logical");
    expect(Number(await settingOf(server, "max_prepared_transactions"))).toBeGreaterThan(0);
    expect(await settingOf(server, "data_checksums")).toBe("on");
  });

  test("stretches passwords that people choose, and not its own, which is long and random", async () => {
    const server = await start();
    expect(await settingOf(server, "scram_iterations")).toBe("4096");
    const database = openDatabase({ url: server.url, connections: 1, applicationName: "embedded test" });
    const [row] = await database.query(secretSql, []);
    await database.close();
    expect(row?.secret).toMatch(/^SCRAM-SHA-256\$1:/);
  });

  test("takes another port when somebody has taken its own, and says so when it was to have just this one", async () => {
    const first = await start();
    await first.stop();
    await using _intruder = await listenOn(first.port);
    await expect(start({ port: first.port })).rejects.toThrow(`Port ${first.port} is taken.`);
    const second = await start();
    expect(second.port).not.toBe(first.port);
    expect(await isReachable(second.url)).toBe(true);
  });

  test("settings may be replaced, and a setting that PostgreSQL does not know is told in its words", async () => {
    const server = await start({ settings: { fsync: "off" } });
    expect(await settingOf(server, "fsync")).toBe("off");
    await server.stop();
    const refused = start({ settings: { no_such_setting: "1" } });
    await expect(refused).rejects.toThrow(/no_such_setting.*postgres\.log/);
  });

  test("stopping twice is stopping once, and open sessions do not hold it up", async () => {
    const server = await start();
    const database = openDatabase({ url: server.url, connections: 1, applicationName: "lingerer" });
    await database
      .transaction(async (tx) => {
        await databaseNow(tx);
        await Promise.all([server.stop(), server.stop()]);
      })
      .catch(() => undefined);
    expect(isRunning(server.pid)).toBe(false);
    await database.close();
  });
});

describe("what an earlier run left behind", () => {
  test("the postmaster of a killed Node process is stopped, and what was committed is there", async () => {
    const { node, ready } = await startInProcess();
    await writeFirst(ready.url);
    node.signal("SIGKILL");
    await node.ended;
    expect(isRunning(ready.pid)).toBe(true);
    const server = await start();
    expect(isRunning(ready.pid)).toBe(false);
    expect(server.pid).not.toBe(ready.pid);
    expect(await writeAndRead(server.url, 2)).toEqual([1, 2]);
  });

  test("a frozen postmaster of a killed Node process is stopped too", async () => {
    const { node, ready } = await startInProcess();
    node.signal("SIGKILL");
    await node.ended;
    process.kill(ready.pid, "SIGSTOP");
    await start();
    expect(isRunning(ready.pid)).toBe(false);
  });

  test("after a kill of Node and postmaster the sessions that are left are waited for, and the start recovers", async () => {
    const { node, ready } = await startInProcess();
    await writeFirst(ready.url);
    // A session in a long computation does not look whether its postmaster lives.
    const busy = openDatabase({ url: ready.url, connections: 1, applicationName: "busy" });
    const computing = busy.query(busySql, []).catch(() => undefined);
    await waitFor(async () => (await sessionsOf(ready.url, "busy")) > 0);
    node.signal("SIGKILL");
    process.kill(ready.pid, "SIGKILL");
    await node.ended;
    const server = await start();
    expect(await writeAndRead(server.url, 2)).toEqual([1, 2]);
    await server.stop();
    await computing;
    await busy.close();
  });

  test("half a cluster, from a kill in the middle of the first start, is made anew", async () => {
    await freshDirectory();
    const node = await spawnNode(script, { args: [directory] });
    await waitFor(async () => (await readdir(directory)).some((name) => name.startsWith("unfinished-")));
    node.signal("SIGKILL");
    await node.ended;
    const server = await start();
    expect(await isReachable(server.url)).toBe(true);
    expect((await readdir(directory)).filter((name) => name.startsWith("unfinished-"))).toEqual([]);
  });

  test("a cluster without its database, from a kill just after it was made, gets it", async () => {
    const first = await start();
    const admin = openDatabase({ url: first.url.replace(/onsale$/, "postgres"), connections: 1, applicationName: "x" });
    await admin.execute(sql("embedded.drop", { takes: [], gives: {} })`drop database onsale with (force)`, []);
    await admin.close();
    await first.stop();
    const second = await start();
    expect(await isReachable(second.url)).toBe(true);
  });

  test("a stale process id that another program has got is not believed, and that program is left alone", async () => {
    const first = await start();
    await first.stop();
    await using stranger = await spawnNode(new URL("./idle-process.ts", import.meta.url));
    const stale = [stranger.pid, join(directory, "data"), 1, first.port, "", "127.0.0.1", "", "ready", ""].join("\n");
    await writeFile(join(directory, "data/postmaster.pid"), stale);
    const second = await start();
    expect(await isReachable(second.url)).toBe(true);
    await second.stop();
    expect(isRunning(stranger.pid)).toBe(true);
  });

  test("without its password a cluster is not touched, and that is said", async () => {
    const first = await start();
    await first.stop();
    await rename(join(directory, "password"), join(directory, "mislaid"));
    await expect(start()).rejects.toThrow(/password of the database is missing/);
    await rename(join(directory, "mislaid"), join(directory, "password"));
  });
});

describe("two at once", () => {
  test("the second says who holds the directory; when the first has ended, it starts", async () => {
    const { node, ready } = await startInProcess();
    const second = start();
    await expect(second).rejects.toThrow(EmbeddedPostgresInUseError);
    await expect(second).rejects.toMatchObject({ holder: node.pid });
    expect(await isReachable(ready.url)).toBe(true);
    await stopProcess(node);
    expect(await isReachable((await start()).url)).toBe(true);
  });

  test("of several first starts at the same moment one wins, and the others are refused", async () => {
    await freshDirectory();
    const starts = await Promise.allSettled([1, 2, 3].map(() => start()));
    const servers = starts.flatMap((start) => (start.status === "fulfilled" ? [start.value] : []));
    const refusals = starts.flatMap((start) => (start.status === "rejected" ? [start.reason] : []));
    expect(servers).toHaveLength(1);
    for (const refusal of refusals) expect(refusal).toBeInstanceOf(EmbeddedPostgresInUseError);
  });

  test("of several processes that start at the same moment one wins", async () => {
    await freshDirectory();
    const nodes = await Promise.all([1, 2, 3].map(() => spawnNode(script, { args: [directory] })));
    const lines = await Promise.all(nodes.map((node) => node.line(/^ready: |EmbeddedPostgresInUseError/, 60_000)));
    const winners = nodes.filter((_, index) => lines[index]?.startsWith("ready: "));
    expect(winners).toHaveLength(1);
    for (const node of winners) await stopProcess(node);
    for (const node of nodes) if (!winners.includes(node)) expect(await node.ended).toBe(1);
  });
});

describe("a server that ends by itself", () => {
  test("is started again on its port, with everything that was committed", async () => {
    const incidents: string[] = [];
    const server = await start({ onIncident: (what) => incidents.push(what) });
    await writeFirst(server.url);
    const killed = server.pid;
    process.kill(killed, "SIGKILL");
    await waitFor(() => server.pid !== killed);
    expect(await writeAndRead(server.url, 2)).toEqual([1, 2]);
    expect(incidents).toEqual(["PostgreSQL ended by itself: it ended with SIGKILL.", "PostgreSQL runs again."]);
    await server.stop();
    expect(isRunning(server.pid)).toBe(false);
  });

  test("can be stopped while it is being started again", async () => {
    const server = await start();
    process.kill(server.pid, "SIGKILL");
    await server.stop();
    expect(await isReachable((await start()).url)).toBe(true);
  });
});

describe("Ctrl-C at the terminal", () => {
  test("does not reach the postmaster, so that the drain can still write", async () => {
    const { node, ready } = await startInProcess();
    expect(stateOf(ready.pid).group).not.toBe(stateOf(node.pid).group);
    await stopProcess(node);
    expect(isRunning(ready.pid)).toBe(false);
  });
});

describe.skipIf(!present("the superuser's account", process.getuid?.() === 0))("as the superuser", () => {
  test("runs where all folders above are closed to others, and no file changes its owner", async () => {
    await freshDirectory();
    const server = await start();
    expect(await writeAndRead(server.url, 1)).toEqual([1]);
    await server.stop();
    expect((await stat(join(directory, "data"))).uid).toBe(0);
  });

  test("without user namespaces it runs as an ordinary user who may pass the closed folders", async () => {
    await freshDirectory();
    const { node, ready } = await startInProcess(await onlyWith("setpriv"));
    expect(await writeAndRead(ready.url, 1)).toEqual([1]);
    await stopProcess(node);
    expect((await stat(join(directory, "data"))).uid).not.toBe(0);
    // And back again, as when the data moves from a container to a machine.
    const server = await start();
    expect(await writeAndRead(server.url, 2)).toEqual([1, 2]);
  });

  test("with neither, in closed folders, it says in one sentence what to do", async () => {
    const node = await spawnNode(script, { args: [directory], wrapper: await onlyWith() });
    await node.line(/Start Onsale as an ordinary user/);
    expect(await node.ended).toBe(1);
  });

  test("without any of the tools it runs as an ordinary user where he can reach everything, else it says so", async () => {
    await freshDirectory();
    for (const folder of [join(directory, "../.."), join(directory, "..")]) {
      await mkdir(folder, { recursive: true });
      await chmod(folder, 0o755);
    }
    await using node = await spawnNode(script, { args: [directory], wrapper: await onlyWith() });
    const said = await node.line(/^ready: |Start Onsale as an ordinary user/, 60_000);
    if (!(await isOpenToAll(import.meta.dirname))) {
      expect(said).toContain("Start Onsale as an ordinary user");
      return;
    }
    const { url }: Ready = JSON.parse(said.slice("ready: ".length));
    expect(await writeAndRead(url, 1)).toEqual([1]);
    await stopProcess(node);
    expect((await stat(join(directory, "data"))).uid).not.toBe(0);
    expect((await stat(join(directory, "data"))).mode & 0o077).toBe(0);
  });

  test("an ordinary user starts it too", async () => {
    await freshDirectory();
    const asOrdinary = ["unshare", "--user", "--map-user=1", "--map-group=1", "--"];
    const { node, ready } = await startInProcess(asOrdinary);
    expect(await writeAndRead(ready.url, 1)).toEqual([1]);
    await stopProcess(node);
  });

  async function isOpenToAll(folder: string): Promise<boolean> {
    const { mode } = await stat(folder);
    if ((mode & 0o001) === 0) return false;
    return folder === dirname(folder) || isOpenToAll(dirname(folder));
  }

  /** A command that runs with no other of the tools for changing one's account than these. */
  async function onlyWith(...tools: readonly string[]): Promise<string[]> {
    const path = await mkdtemp(join(tmpdir(), "onsale-tools-"));
    onTestFinished(() => rm(path, { recursive: true, force: true }));
    for (const tool of tools) {
      const place = execFileSync("/bin/sh", ["-c", `command -v ${tool}`], { encoding: "utf8" }).trim();
      execFileSync("ln", ["-s", place, join(path, tool)]);
    }
    return ["/usr/bin/env", `PATH=${path}`];
  }
});

const busySql = sql("embedded.busy", { takes: [], gives: { sum: integer } })`
  select count(*)::int as sum from generate_series(1, 2000000000)`;

const sessionsSql = sql("embedded.sessions", { takes: [text], gives: { sessions: integer } })`
  select count(*)::int as sessions from pg_stat_activity where application_name = $1 and state = 'active'`;

async function sessionsOf(url: string, name: string): Promise<number> {
  const database = openDatabase({ url, connections: 1, applicationName: "looking" });
  const [row] = await database.query(sessionsSql, [name]);
  await database.close();
  return row?.sessions ?? 0;
}

const settingSql = sql("embedded.setting", { takes: [text], gives: { value: text } })`
  select current_setting($1) as value`;

async function settingOf({ url }: EmbeddedPostgres, name: string): Promise<string | undefined> {
  const database = openDatabase({ url, connections: 1, applicationName: "embedded test" });
  const [row] = await database.query(settingSql, [name]);
  await database.close();
  return row?.value;
}

async function listenOn(port: number): Promise<AsyncDisposable> {
  const server = createServer();
  await new Promise<void>((listening) => server.listen({ port, host: "127.0.0.1" }, listening));
  return { [Symbol.asyncDispose]: () => new Promise((closed) => server.close(() => closed())) };
}
