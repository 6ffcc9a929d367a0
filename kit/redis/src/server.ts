/** A Redis server of this machine as a child of this process: for tests, and for whoever wants to try things. */

import { execFile } from "node:child_process";
import { mkdir, readFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { type Child, endLeftover, freePorts, startChild } from "@onsale/child-process";

const run = promisify(execFile);
const name = "Redis";
const program = "redis-server";

export interface RedisServerOptions {
  /** Where its file (`dump.rdb`, when it is told to write one) and its own words (`redis.log`) lie. One server at a time may use it. */
  readonly directory: string;
  /** The port to listen on. Absent: a free one is chosen. */
  readonly port?: number;
}

export interface RedisServer extends Child {
  /** `redis://127.0.0.1:PORT`. */
  readonly url: string;
  readonly port: number;
}

/** A program answers its version within this, or counts as absent. */
const answerMs = 20_000;

/** What keeps Redis from starting on this machine, in one sentence for a person; undefined when nothing does. */
export const whatRedisLacks = (): Promise<string | undefined> =>
  run(program, ["--version"], { timeout: answerMs }).then(
    () => undefined,
    () => "Redis is missing: install its server (redis-server on the path).",
  );

// An idle machine takes 20 ms; reading a file of the size that is bounded below, some seconds.
const readyWithinMs = 30_000;

// Between finding a port free and taking it another program can take it; so often in a row it is something else.
const portAttempts = 5;

/**
 * Starts a server on 127.0.0.1 that keeps nothing by itself: it writes its file when it is told to (`SAVE`) and reads it at its
 * start. It does not outlive this process, and is not started again when it ends.
 */
export async function startRedis({ directory: given, port: wanted = 0 }: RedisServerOptions): Promise<RedisServer> {
  const directory = resolve(given);
  const missing = await whatRedisLacks();
  if (missing !== undefined) throw new Error(missing);
  await mkdir(directory, { recursive: true, mode: 0o700 });
  await endLeftover({ name, directory });
  for (let attempt = 1; ; attempt++) {
    const [port = 0] = wanted === 0 ? await freePorts([0]) : [wanted];
    const logFile = join(directory, "redis.log");
    try {
      const child = await startChild({
        ...{ name, program, directory, logFile, readyWithinMs },
        ...launch(directory, port),
      });
      return { ...child, url: `redis://127.0.0.1:${port}`, port };
    } catch (error) {
      const isTaken = (await readFile(logFile, "utf8").catch(() => "")).includes("Address already in use");
      if (!isTaken || wanted !== 0 || attempt === portAttempts) throw error;
    }
  }
}

const launch = (directory: string, port: number) => ({
  args: [
    ...["--bind", "127.0.0.1", "--port", String(port)],
    // By its folder in the command line the process is known again.
    ...["--dir", `${directory}/`, "--set-proc-title", "no"],
    ...["--save", "", "--appendonly", "no"],
    // Locks and counters are small. What is forgotten to make room would be worse than a refusal.
    ...["--maxmemory", "256mb", "--maxmemory-policy", "noeviction"],
  ],
  untilReady: saysReady,
});

const lookEveryMs = 10;

async function saysReady(log: () => Promise<string>, stop: AbortSignal): Promise<void> {
  while (!stop.aborted && !(await log()).includes("Ready to accept connections")) await sleep(lookEveryMs);
}
