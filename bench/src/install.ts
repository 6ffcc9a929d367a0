/** `onsale bench install`: what it costs a newcomer to try the product, from a fresh clone. */

import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { lstat, mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { type BenchReport, lowerIsBetter, machine, round } from "./report.ts";

const run = promisify(execFile);

/** What a newcomer should not have to wait or pay more than. */
const goals = { firstStartSeconds: 60, laterStartSeconds: 3, packages: 200, megabytes: 250 };

/** Clones the checkout into a temporary folder, starts it twice, and counts what it brought. */
export async function benchInstall(checkout: string, say: (words: string) => void): Promise<BenchReport> {
  const folder = await mkdtemp(join(tmpdir(), "onsale-install-"));
  try {
    const clone = join(folder, "onsale");
    await run("git", ["clone", "--quiet", checkout, clone]);
    say("first start, from a fresh clone");
    const first = await secondsToReady(clone);
    say("later start");
    const later = await secondsToReady(clone);
    const modules = join(clone, "node_modules");
    return {
      name: "install",
      machine: machine(),
      rows: [
        lowerIsBetter("start", first, "s", { name: "first start", value: goals.firstStartSeconds }),
        lowerIsBetter("later start", later, "s", { name: "later start", value: goals.laterStartSeconds }),
        lowerIsBetter("packages", await countPackages(modules), "packages", { name: "aim", value: goals.packages }),
        lowerIsBetter("megabytes", (await bytesIn(modules)) / 1_000_000, "MB", { name: "aim", value: goals.megabytes }),
      ],
      details: { firstStartSeconds: round(first), laterStartSeconds: round(later, 2) },
    };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Starts `onsale up` and waits until what it prints as its address says that it is ready; stops it again. */
async function secondsToReady(clone: string): Promise<number> {
  const startedAt = performance.now();
  const up = spawn(join(clone, "onsale"), ["up"], { cwd: clone, stdio: ["ignore", "pipe", "ignore"] });
  const ended = once(up, "exit");
  try {
    const url = await Promise.race([printedUrl(up.stdout), ended.then(() => undefined)]);
    if (url === undefined) throw new Error("`onsale up` ended before it was ready.");
    const { status } = await fetch(`${url}/health/ready`);
    if (status !== 200) throw new Error(`\`onsale up\` printed its address, but /health/ready answered ${status}.`);
    return (performance.now() - startedAt) / 1_000;
  } finally {
    up.kill("SIGTERM");
    await ended;
  }
}

async function printedUrl(output: AsyncIterable<Buffer>): Promise<string | undefined> {
  let text = "";
  for await (const chunk of output) {
    text += chunk.toString();
    const [url] = /http:\/\/[\w.]+:\d+/.exec(text) ?? [];
    if (url !== undefined) return url;
  }
  return undefined;
}

/** Third-party packages: what lies in node_modules and is not a link to the workspace. */
async function countPackages(folder: string): Promise<number> {
  let count = 0;
  for (const name of await readdir(folder)) {
    if (name.startsWith(".")) continue;
    const path = join(folder, name);
    if (name.startsWith("@")) {
      count += await countPackages(path);
    } else if (!(await lstat(path)).isSymbolicLink()) {
      count +=
        1 +
        (await readdir(path).then((names) =>
          names.includes("node_modules") ? countPackages(join(path, "node_modules")) : 0,
        ));
    }
  }
  return count;
}

async function bytesIn(folder: string): Promise<number> {
  let bytes = 0;
  for (const entry of await readdir(folder, { withFileTypes: true, recursive: true })) {
    if (entry.isFile()) bytes += (await lstat(join(entry.parentPath, entry.name))).size;
  }
  return bytes;
}
