import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Command } from "commander";
import { checkout } from "./checkout.ts";
import { CommandFailure, say } from "./output.ts";

export function register(program: Command): void {
  program
    .command("test")
    .description("run every test: types, lint, and the tests of all packages")
    .argument("[pattern]", "only test files whose path has this in it")
    .option("--drills", "also minutes of kills under load: shops in mid-replay, brokers, a sample of each drill")
    .option("--long", "also the tests that take many minutes, of which all others are a sample")
    .action(async (pattern: string | undefined, { drills, long }: { drills?: true; long?: true }) => {
      if (!existsSync(join(checkout, "node_modules/vitest")))
        throw new CommandFailure(
          "The packages for testing are not installed; run this through ./onsale, which installs them.",
        );
      const mode = long ? ["--mode", "long"] : drills ? ["--mode", "drills"] : [];
      const args = [...mode, ...(pattern === undefined ? [] : [pattern])];
      const counts = await runAll(args);
      process.stdout.write(`${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped\n`);
      if (counts.failed > 0) process.exitCode = 1;
    });
}

interface Counts {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

/** @param args For vitest: what of the tests is wanted. */
async function runAll(args: readonly string[]): Promise<Counts> {
  const children = new Set<ChildProcess>();
  const forward = (signal: NodeJS.Signals) => children.forEach((child) => void child.kill(signal));
  process.on("SIGINT", forward).on("SIGTERM", forward);
  const run: Run = (script, args, onLine) => runScript(children, script, args, onLine);
  // Types and lint count as a test each. Side by side: the type checker alone does not fill two cores.
  const [types, lint] = await Promise.all([
    // Each checker works out for itself what files share: four of them, the default, take twice the work of two.
    passes("types", run("node_modules/typescript/bin/tsc", ["-p", ".", "--checkers", "2"])),
    passes("lint", run("node_modules/@biomejs/biome/bin/biome", ["check", "."])),
  ]);
  return sum([types, lint, await runTests(run, args)]);
}

type Run = (script: string, args: readonly string[], onLine?: (line: string) => void) => Promise<number>;

/** Runs a program of node_modules in the checkout and gives its exit code. Its output goes where ours goes, or to `onLine`. */
async function runScript(
  children: Set<ChildProcess>,
  script: string,
  args: readonly string[],
  onLine?: (line: string) => void,
): Promise<number> {
  const child = spawn(process.execPath, [join(checkout, script), ...args], {
    cwd: checkout,
    stdio: ["inherit", onLine ? "pipe" : "inherit", "inherit"],
  });
  children.add(child);
  if (onLine && child.stdout) createInterface({ input: child.stdout }).on("line", onLine);
  // Not `exit`: the last lines may come after it.
  const [code] = (await once(child, "close")) as [number | null];
  children.delete(child);
  return code ?? 1;
}

async function passes(name: string, run: Promise<number>): Promise<Counts> {
  const code = await run;
  say(`${name}: ${code === 0 ? "passed" : "failed"}`);
  return code === 0 ? { passed: 1, failed: 0, skipped: 0 } : { passed: 0, failed: 1, skipped: 0 };
}

/** The last line of vitest's output, which our reporter writes. */
const lastLine = /^(\d+) passed, (\d+) failed, (\d+) skipped$/;

/** Runs vitest. Its own last line is kept back, since it doesn't know of types and lint. */
async function runTests(run: Run, args: readonly string[]): Promise<Counts> {
  let counts: Counts | undefined;
  const code = await run("node_modules/vitest/vitest.mjs", ["run", ...args], (line) => {
    const [, passed, failed, skipped] = lastLine.exec(line) ?? [];
    if (passed === undefined) process.stdout.write(`${line}\n`);
    else counts = { passed: Number(passed), failed: Number(failed), skipped: Number(skipped) };
  });
  return countsAfter(code, counts);
}

/** A run that failed without a failed test, or died before it could count, is a failure. */
function countsAfter(code: number, counts: Counts = { passed: 0, failed: 0, skipped: 0 }): Counts {
  return code !== 0 && counts.failed === 0 ? { ...counts, failed: 1 } : counts;
}

const sum = (all: readonly Counts[]): Counts => ({
  passed: all.reduce((total, { passed }) => total + passed, 0),
  failed: all.reduce((total, { failed }) => total + failed, 0),
  skipped: all.reduce((total, { skipped }) => total + skipped, 0),
});
