import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, openSync, readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { request } from "undici";
import type { FaultReport, FaultSettings } from "./faults.ts";
import { findHolder } from "./holder.ts";

/** One provider: its journal, its secrets, its address. */
export interface ProviderBooks {
  /** Where its journal lies; made if missing. */
  readonly directory: string;
  /** JSON with `apiSecret` and `webhookSecret`; see `ensureSecrets`. */
  readonly secretFile: string;
  /** Default: one that is free. */
  readonly port?: number;
}

interface ProcessOptions {
  /** Milliseconds that each call takes at least. Default 5. */
  readonly latencyMs?: number;
  /** Milliseconds for which an idempotency key protects its call. Default a day. */
  readonly keyMemoryMs?: number;
  /** Where its complaints go. Default: this process's standard error. */
  readonly logFile?: string;
}

export interface StartProviderOptions extends ProviderBooks, ProcessOptions {}
export interface StartProvidersOptions extends ProcessOptions {
  readonly books: readonly ProviderBooks[];
}

export interface RunningProviders {
  /** In the order of their books. */
  readonly urls: readonly string[];
  readonly pid: number;
  /** Resolves with the exit code or the signal when the process has ended, for whatever reason. */
  readonly ended: Promise<number | NodeJS.Signals | null>;
  /** Ends it in good order; after 10 seconds, by force. */
  stop(): Promise<void>;
}

export interface RunningProvider extends RunningProviders {
  readonly url: string;
}

// Reading a journal of millions of lines takes seconds.
const startTimeoutMs = 60_000;
const stopTimeoutMs = 10_000;

/** Starts one provider; see `startProviders`. */
export async function startProvider(options: StartProviderOptions): Promise<RunningProvider> {
  const { directory, secretFile, port, ...process } = options;
  const running = await startProviders({
    books: [{ directory, secretFile, ...(port !== undefined && { port }) }],
    ...process,
  });
  return { ...running, url: running.urls[0] ?? "" };
}

/**
 * Starts providers as one process of their own, after ending one that was left over from a process that was killed. It
 * lives in a process group of its own, so that Ctrl-C ends the shop first and the providers still answer while it drains.
 */
export async function startProviders(options: StartProvidersOptions): Promise<RunningProviders> {
  for (const { directory } of options.books) await stopOrphan(directory);
  const child = spawnProviders(options);
  const ended = new Promise<number | NodeJS.Signals | null>((resolve) =>
    child.once("exit", (code, signal) => resolve(code ?? signal)),
  );
  const ports = await portsOf(child, ended);
  return {
    urls: ports.map((port) => `http://127.0.0.1:${port}`),
    pid: child.pid as number,
    ended,
    async stop() {
      child.kill("SIGTERM");
      const force = setTimeout(() => child.kill("SIGKILL"), stopTimeoutMs);
      await ended;
      clearTimeout(force);
    },
  };
}

function spawnProviders({ books, latencyMs, keyMemoryMs, logFile }: StartProvidersOptions): ChildProcess {
  const complaints = logFile === undefined ? "inherit" : openSync(logFile, "a", 0o600);
  try {
    const main = fileURLToPath(import.meta.resolve("@onsale/provider-sim/main"));
    const options = [
      ...books.flatMap(({ directory, secretFile, port = 0 }) => [
        ["directory", directory],
        ["secret-file", secretFile],
        ["port", port],
      ]),
      ["latency-ms", latencyMs],
      ["key-memory-ms", keyMemoryMs],
    ];
    const given = options.filter(([, value]) => value !== undefined);
    return spawn(process.execPath, [main, ...given.map(([name, value]) => `--${name}=${value}`)], {
      stdio: ["ignore", "pipe", complaints],
      detached: true,
    });
  } finally {
    if (typeof complaints === "number") closeSync(complaints);
  }
}

async function portsOf(child: ChildProcess, ended: Promise<unknown>): Promise<readonly number[]> {
  if (child.stdout === null) throw new Error("The provider has no standard output.");
  const lines = createInterface({ input: child.stdout });
  const firstLine = new Promise<string | undefined>((resolve) => {
    lines.once("line", resolve).once("close", () => resolve(undefined));
  });
  const late = new AbortController();
  try {
    const line = await Promise.race([
      firstLine,
      sleep(startTimeoutMs, undefined, { signal: late.signal }).then(() => {
        child.kill("SIGKILL");
        throw new Error(`The provider did not listen within ${startTimeoutMs} ms.`);
      }),
    ]);
    if (line === undefined) throw new Error(`The provider ended with ${await ended} before it listened.`);
    const told: { readonly ports: readonly number[] } | { readonly fault: string } = JSON.parse(line);
    if ("fault" in told) throw new Error(`The provider did not start: ${told.fault}`);
    return told.ports;
  } finally {
    late.abort();
    lines.close();
  }
}

/** Ends the process that a killed shop left behind on this directory, if there is one. */
export async function stopOrphan(directory: string): Promise<void> {
  const holder = await findHolder(directory);
  if (holder === undefined) return;
  process.kill(holder.pid, "SIGTERM");
  const deadline = Date.now() + stopTimeoutMs;
  while (isAlive(holder.pid)) {
    // It is not our child, so there is no event to wait for.
    await sleep(20);
    if (Date.now() > deadline) process.kill(holder.pid, "SIGKILL");
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch {
    return false;
  }
  // A dead process whose parent does not collect it still takes signals; containers often have such a parent.
  return !isZombie(pid);
}

function isZombie(pid: number): boolean {
  try {
    return /^\d+ \(.*\) Z /s.test(readFileSync(`/proc/${pid}/stat`, "utf8"));
  } catch {
    return false;
  }
}

/** Switches faults at a running provider. */
export async function setFaults(url: string, apiSecret: string, settings: FaultSettings): Promise<FaultReport> {
  return await callFaults(url, apiSecret, { method: "PUT", body: JSON.stringify(settings) });
}

/** Tells which faults are on and how often each has struck. */
export async function readFaults(url: string, apiSecret: string): Promise<FaultReport> {
  return await callFaults(url, apiSecret, { method: "GET" });
}

async function callFaults(
  url: string,
  apiSecret: string,
  call: { method: "GET" | "PUT"; body?: string },
): Promise<FaultReport> {
  const headers = { authorization: `Bearer ${apiSecret}`, "content-type": "application/json" };
  const { statusCode, body } = await request(`${url}/admin/faults`, { ...call, headers });
  const text = await body.text();
  if (statusCode !== 200) throw new Error(`The provider refused the faults with ${statusCode}: ${text}`);
  return JSON.parse(text);
}
