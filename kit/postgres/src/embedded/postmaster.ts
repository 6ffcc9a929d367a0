import { type ChildProcess, spawn } from "node:child_process";
import { constants, type FileHandle, open, readdir, readFile, readlink, realpath, rm } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Account } from "./account.ts";
import type { Binaries } from "./binaries.ts";
import { asListElement, clearSocketFolder } from "./socket.ts";

/** Milliseconds between two looks at a process or a file. */
const pollMs = 10;

/** What a postmaster wrote into `postmaster.pid`. */
interface PidFile {
  readonly pid: number;
  readonly ready: boolean;
}

async function readPidFile(data: string): Promise<PidFile | undefined> {
  const text = await readFile(join(data, "postmaster.pid"), "utf8").catch(() => "");
  const lines = text.split("\n");
  const pid = Number.parseInt(lines[0] ?? "", 10);
  return pid > 0 ? { pid, ready: lines[7]?.trim() === "ready" } : undefined;
}

/**
 * Whether a process is a PostgreSQL process of the cluster: a number in a file proves nothing, another program may have
 * got it since. Every PostgreSQL process works in its cluster's folder; where the system does not tell us that of
 * another user's process, the command line is compared instead.
 */
async function belongsToCluster(pid: number, data: string): Promise<boolean> {
  if (process.platform !== "linux") return (await commandLine(pid)).includes(data);
  try {
    const [folder, expected] = await Promise.all([readlink(`/proc/${pid}/cwd`), realpath(data)]);
    return folder === expected;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EACCES") return false;
    return (await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "")).includes(`${data}\0`);
  }
}

async function commandLine(pid: number): Promise<string> {
  const child = spawn("ps", ["-ww", "-o", "command=", "-p", String(pid)], { stdio: ["ignore", "pipe", "ignore"] });
  child.on("error", () => undefined);
  let text = "";
  for await (const chunk of child.stdout) text += chunk;
  return text;
}

/** All living processes of a cluster, its postmaster included. Only Linux tells; elsewhere PostgreSQL itself waits for them. */
async function processesOf(data: string): Promise<number[]> {
  if (process.platform !== "linux") return [];
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name)).map(Number);
  const mine = await Promise.all(pids.map(async (pid) => pid !== process.pid && (await belongsToCluster(pid, data))));
  return pids.filter((_, index) => mine[index]);
}

/** Ends every process that works in this folder, without further ado. */
export async function killProcessesOf(data: string): Promise<void> {
  for (const pid of await processesOf(data)) signal(pid, "SIGKILL");
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

async function goneWithin(data: string, pid: number, boundMs: number): Promise<boolean> {
  const deadline = performance.now() + boundMs;
  while (await belongsToCluster(pid, data)) {
    if (performance.now() > deadline) return false;
    await sleep(pollMs);
  }
  return true;
}

// A fast shutdown ends all sessions and writes what is in memory (256 MB) to disk; on a slow disk that takes seconds.
const fastShutdownMs = 15_000;
// An immediate shutdown only has to end the processes.
const immediateShutdownMs = 5_000;

/** Stops a postmaster: fast shutdown; when that takes too long, immediate (the next start recovers); then kill. */
export async function stopPostmaster(data: string, pid: number): Promise<void> {
  if (!(await belongsToCluster(pid, data))) return;
  // A frozen process hears nothing until it goes on, and a frozen session holds up the shutdown.
  for (const one of [pid, ...(await processesOf(data))]) signal(one, "SIGCONT");
  signal(pid, "SIGINT");
  if (await goneWithin(data, pid, fastShutdownMs)) return;
  signal(pid, "SIGQUIT");
  if (await goneWithin(data, pid, immediateShutdownMs)) return;
  signal(pid, "SIGKILL");
  await goneWithin(data, pid, immediateShutdownMs);
}

// Sessions notice the death of their postmaster at the next wait, at once; one in a long computation may not.
const orphanedSessionsMs = 3_000;

/**
 * Ends what an earlier run left on the cluster: a postmaster whose Node process was killed is stopped rather than
 * adopted, because its settings, its log and its sessions' open transactions belong to a program that is gone; sessions
 * whose postmaster was killed are waited for, then killed. The caller holds the directory's lock, so no living program
 * owns any of them.
 */
export async function endLeftovers(data: string): Promise<void> {
  const left = await readPidFile(data);
  if (left && (await belongsToCluster(left.pid, data))) await stopPostmaster(data, left.pid);
  const deadline = performance.now() + orphanedSessionsMs;
  let sessions = await processesOf(data);
  while (sessions.length > 0) {
    if (performance.now() > deadline) await killProcessesOf(data);
    await sleep(pollMs);
    sessions = await processesOf(data);
  }
  // A living process that has got the old number would be taken for the postmaster. The file of a dead one stays:
  // PostgreSQL finds by it whether sessions are left.
  if (left && isAlive(left.pid)) await rm(join(data, "postmaster.pid"), { force: true });
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

/** A postmaster could not take its port: another program has it. */
export class PortTakenError extends Error {
  override readonly name = "PortTakenError";
}

/** Sessions of an earlier postmaster are still there; they end by themselves soon. */
export class LeftoversError extends Error {
  override readonly name = "LeftoversError";
}

export interface PostmasterOptions {
  readonly data: string;
  readonly port: number;
  readonly settings: Readonly<Record<string, string>>;
  readonly logFile: string;
  readonly account: Account;
  readonly binaries: Binaries;
  /** Where its Unix socket lies; undefined: it has none. */
  readonly socketFolder: string | undefined;
}

// Crash recovery reads at most the log since the last checkpoint, 1 GB by default.
const startMs = 180_000;

/** A running postmaster, as its parent process sees it. */
export interface Postmaster {
  readonly pid: number;
  /** Resolves when it has ended, however, with words for how. */
  readonly ended: Promise<string>;
}

/**
 * Starts a postmaster and waits until it says that it is ready. It gets a session of its own, so that Ctrl-C at the
 * terminal reaches only us, and we stop it when the last transaction is done.
 */
export async function startPostmaster(options: PostmasterOptions, signal?: AbortSignal): Promise<Postmaster> {
  if (options.socketFolder !== undefined) await clearSocketFolder(options.socketFolder);
  const log = await open(options.logFile, constants.O_CREAT | constants.O_APPEND | constants.O_RDWR, 0o600);
  try {
    const { size: logStart } = await log.stat();
    const child = launch(options, log);
    const ended = endOf(child);
    const outcome = await Promise.race([ended, untilReady(options.data, child.pid ?? 0, signal)]);
    if (outcome === "ready" && child.pid !== undefined) return { pid: child.pid, ended };
    if (child.pid !== undefined) await stopPostmaster(options.data, child.pid);
    throw explain(outcome, await logSince(log, logStart), options);
  } finally {
    await log.close();
  }
}

function endOf(child: ChildProcess): Promise<string> {
  // It lives on when we end without stopping it; the next start finds it.
  child.unref();
  return new Promise((resolve) => {
    child.once("error", (error) => resolve(error.message));
    child.once("exit", (code, name) => resolve(`it ended with ${name ?? `code ${code}`}`));
  });
}

async function untilReady(data: string, pid: number, signal: AbortSignal | undefined): Promise<string> {
  const deadline = performance.now() + startMs;
  for (;;) {
    const written = await readPidFile(data);
    if (written?.pid === pid && written.ready) return "ready";
    if (signal?.aborted) return "it was told to stop";
    if (performance.now() > deadline) return `it was not ready within ${startMs / 1_000} s`;
    await sleep(pollMs);
  }
}

function launch(options: PostmasterOptions, log: FileHandle): ChildProcess {
  const { data, port, account, binaries, socketFolder } = options;
  const sockets = { unix_socket_directories: socketFolder === undefined ? "" : asListElement(socketFolder) };
  const settingArgs = Object.entries({ ...options.settings, ...sockets }).flatMap(([name, value]) => [
    "-c",
    `${name}=${value}`,
  ]);
  const command = account.command(binaries.postgres, ["-D", data, "-p", String(port), ...settingArgs]);
  return spawn(command.file, command.args, {
    ...command.options,
    cwd: "/",
    detached: true,
    stdio: ["ignore", log.fd, log.fd],
  });
}

async function logSince(log: FileHandle, start: number): Promise<string> {
  const { size } = await log.stat();
  const { buffer, bytesRead } = await log.read({
    buffer: Buffer.alloc(Math.min(size - start, 64_000)),
    position: start,
  });
  return buffer.toString("utf8", 0, bytesRead);
}

function explain(ended: string, log: string, { port, logFile }: PostmasterOptions): Error {
  if (/Address already in use|could not create any TCP\/IP sockets/.test(log))
    return new PortTakenError(`Port ${port} is taken.`);
  if (/pre-existing shared memory block/.test(log))
    return new LeftoversError("Sessions of an earlier run are still there.");
  const words = log
    .split("\n")
    .filter((line) => /FATAL|PANIC|ERROR|error while loading/.test(line))
    .slice(-3)
    .join(" ");
  return new Error(`PostgreSQL did not start: ${words || ended}. Its log is ${logFile}.`);
}
