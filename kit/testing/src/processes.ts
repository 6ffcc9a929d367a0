import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { killAtExit } from "@onsale/child-process";
import { waitFor } from "./wait.ts";

/** A Node process that a test started; killed by its process id when the test lets go of it. */
export interface SpawnedNode extends AsyncDisposable {
  readonly pid: number;
  /** What it has printed so far, standard output and standard error in one, by lines. */
  readonly lines: readonly string[];
  /** Waits for a line that fits, counting from the first, and gives it. */
  line(pattern: RegExp, withinMs?: number): Promise<string>;
  /** Sends a signal; does nothing when the process has ended. */
  signal(name: NodeJS.Signals): void;
  /** What ended it: an exit code, or the name of a signal. */
  readonly ended: Promise<number | NodeJS.Signals>;
}

export interface SpawnOptions {
  readonly args?: readonly string[];
  /** The whole environment of the process. Default: ours. */
  readonly env?: Readonly<Record<string, string>>;
  /** A command line to put before Node's own, which replaces itself by it. */
  readonly wrapper?: readonly string[];
}

/** Starts a TypeScript file as a Node process of its own: `await using worker = await spawnNode(new URL("./worker.ts", import.meta.url))`. */
export async function spawnNode(
  script: URL,
  { args = [], env, wrapper = [] }: SpawnOptions = {},
): Promise<SpawnedNode> {
  const [file = "", ...rest] = [...wrapper, process.execPath, fileURLToPath(script), ...args];
  const child = spawn(file, rest, {
    stdio: ["ignore", "pipe", "pipe"],
    ...(env && { env }),
  });
  const ended = new Promise<number | NodeJS.Signals>((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", (code, signal) => resolve(code ?? signal ?? 0));
  });
  // Told to whoever awaits it; a test need not.
  ended.catch(() => undefined);
  const lines: string[] = [];
  for (const stream of [child.stdout, child.stderr]) {
    createInterface({ input: stream }).on("line", (line) => lines.push(line));
  }
  let silent = false;
  child.once("close", () => {
    silent = true;
  });
  const { pid } = child;
  if (pid === undefined) throw await ended.then(() => new Error(`${script} did not start.`));
  killAtExit(child);
  return {
    pid,
    lines,
    ended,
    signal: (name) => void child.kill(name),
    async line(pattern, withinMs = 20_000) {
      const isOver = () => silent || lines.some((line) => pattern.test(line));
      await waitFor(isOver, { withinMs, what: `a line like ${pattern} from process ${pid}` });
      const found = lines.find((line) => pattern.test(line));
      if (found !== undefined) return found;
      const last = lines.slice(-10).join("\n");
      throw new Error(`The process ended without a line like ${pattern}. Its last lines:\n${last}`);
    },
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await ended;
    },
  };
}
