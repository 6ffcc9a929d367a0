import { type ChildProcess, spawn } from "node:child_process";
import { constants, open, readFile, rename, stat, writeFile } from "node:fs/promises";
import { extname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { endProcess, isProcessOf, parentOf, signal } from "./processes.ts";

export interface ChildOptions {
  /** What people call it. */
  readonly name: string;
  /** Its command, as on the path. */
  readonly program: string;
  /** Its folder, which stands in its command line: by it the process is known again. One process at a time works there. */
  readonly directory: string;
  readonly logFile: string;
  readonly args: readonly string[];
  /** Waits until it does its work. A rejection, or its end, ends the start. */
  readonly untilReady: (log: () => Promise<string>, stop: AbortSignal) => Promise<void>;
  readonly readyWithinMs: number;
}

/** A running program that this process started. */
export interface Child {
  readonly pid: number;
  /** Resolves when it has ended, however, with words for how. */
  readonly ended: Promise<string>;
  /** Ends it in good order within `stopMs`, else at once. */
  stop(): Promise<void>;
  /** SIGKILL, and its end. */
  kill(): Promise<void>;
  /** Freezes it (SIGSTOP) until `resume`: it neither answers nor closes its connections. */
  pause(): void;
  resume(): void;
}

/** Milliseconds that a program has to end in good order. A broker took 0.4 s idle; a busy one writes its indexes first. */
export const stopMs = 15_000;

/** Another living process runs the program of this folder. */
export class InUseError extends Error {
  override readonly name = "InUseError";
  constructor(name: string, directory: string, owner: number) {
    super(`${name} in ${directory} is run by process ${owner}.`);
  }
}

/**
 * Starts a program in a session of its own, so that Ctrl-C at the terminal reaches only us. It does not outlive this
 * process: a warden ends it when we die without having done so. The caller has ended what an earlier run left.
 */
export async function startChild(options: ChildOptions): Promise<Child> {
  await setAsideLongLog(options.logFile);
  const log = await open(options.logFile, constants.O_CREAT | constants.O_APPEND | constants.O_RDWR, 0o600);
  try {
    const { size: logStart } = await log.stat();
    const running = await launch(options, log.fd);
    const readLog = async () => (await readFile(options.logFile)).subarray(logStart).toString();
    const fault = await faultOfStart(running, options, readLog);
    if (fault === undefined) return running;
    await running.stop();
    throw new Error(
      `${options.name} did not start: ${faultIn(await readLog()) || fault}. Its log is ${options.logFile}.`,
    );
  } finally {
    await log.close();
  }
}

async function launch({ name, program, directory, args }: ChildOptions, log: number): Promise<Child> {
  const child = spawn(program, args, { cwd: directory, detached: true, stdio: ["ignore", log, log] });
  const ended = endOf(child);
  const { pid } = child;
  if (pid === undefined) throw new Error(`${name} did not start: ${await ended}`);
  const warden = startWarden(pid, directory);
  void ended.then(() => warden.dismiss());
  await writeFile(join(directory, pidFile), `${pid} ${process.pid}\n`);
  const end = async (withinMs: number) => {
    // Nothing else may keep this process alive while it waits.
    const awake = setInterval(() => undefined, 1_000);
    try {
      await endProcess(pid, directory, withinMs);
      await ended;
    } finally {
      clearInterval(awake);
    }
  };
  return {
    pid,
    ended,
    stop: () => end(stopMs),
    kill: () => end(0),
    pause: () => signal(pid, "SIGSTOP"),
    resume: () => signal(pid, "SIGCONT"),
  };
}

function endOf(child: ChildProcess): Promise<string> {
  // Whether we go on is not for it to say.
  child.unref();
  return new Promise((resolve) => {
    child.once("error", (error) => resolve(error.message));
    child.once("exit", (code, name) => resolve(`it ended with ${name ?? `code ${code}`}`));
  });
}

/** A small process that reads from a pipe that only we hold open: when we die, however, it ends the program. */
function startWarden(pid: number, directory: string): { dismiss(): void } {
  const script = fileURLToPath(new URL(`./warden-process${extname(import.meta.url)}`, import.meta.url));
  const warden = spawn(process.execPath, [script, String(pid), directory], {
    detached: true,
    stdio: ["pipe", "ignore", "ignore"],
  });
  warden.unref();
  warden.on("error", () => undefined);
  warden.stdin.on("error", () => undefined);
  return { dismiss: () => void warden.stdin.end("dismissed") };
}

/** The program's process id and its owner's. */
const pidFile = "process";

/**
 * Ends the program of an owner who was killed, its warden too. The system says whose child it is, so no process id has to
 * be believed.
 * @throws {InUseError} when the owner lives.
 */
export async function endLeftover({ name, directory }: Pick<ChildOptions, "name" | "directory">): Promise<void> {
  const text = await readFile(join(directory, pidFile), "utf8").catch(() => "");
  const [pid = 0, owner = 0] = text.trim().split(" ").map(Number);
  if (!(pid > 0) || !(await isProcessOf(pid, directory))) return;
  if ((await parentOf(pid)) === owner) throw new InUseError(name, directory, owner);
  await endProcess(pid, directory, stopMs);
}

/** Why it is not at work; undefined when it is. */
async function faultOfStart(
  { ended }: Child,
  { untilReady, readyWithinMs }: ChildOptions,
  log: () => Promise<string>,
): Promise<string | undefined> {
  const over = new AbortController();
  const ready = untilReady(log, over.signal).then(
    () => undefined,
    (error: Error) => error.message,
  );
  const late = sleep(readyWithinMs, `it was not ready within ${readyWithinMs / 1_000} s`, {
    signal: over.signal,
    ref: false,
  });
  late.catch(() => undefined);
  try {
    return await Promise.race([ready, ended, late]);
  } finally {
    over.abort();
  }
}

const faultIn = (log: string): string =>
  log
    .split("\n")
    .filter((line) => /\b(ERROR|FATAL)\b|^(Caused by|Exception in|Error)/.test(line))
    .slice(0, 3)
    .join(" ");

// Weeks of an undisturbed broker; a disturbed one must not fill the disk with its complaints.
const longLogBytes = 16 * 1024 * 1024;

async function setAsideLongLog(file: string): Promise<void> {
  const { size } = await stat(file).catch(() => ({ size: 0 }));
  if (size > longLogBytes) await rename(file, `${file}.1`);
}
