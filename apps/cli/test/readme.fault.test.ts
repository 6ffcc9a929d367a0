/** The README's commands, run in its order by the launcher itself. Only the data's folder is another, and tests and invoices are fewer: the whole file is played with the drills. */

import { execFile, spawn } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { childEnvironment } from "@onsale/runtime";
import { requiresKafka, waitFor } from "@onsale/testing";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { checkout } from "../src/checkout.ts";
import { type Ended, shopFolder } from "./command-line.ts";

const launcher = join(checkout, "onsale");
const invoices = join(checkout, "examples/online-retail/invoices-2010-12-01-to-05.csv");
const readme = await readFile(join(checkout, "README.md"), "utf8");
const commands = [...readme.matchAll(/^```sh\n(.*?)\n```$/gms)].flatMap(([, block = ""]) => block.split("\n"));
const table = [...readme.matchAll(/^\| `\.\/onsale (\w+)/gm)].map(([, verb]) => verb ?? "");

type ShopFolder = Awaited<ReturnType<typeof shopFolder>>;

/** A folder of the test for each that the page names; the empty name is the one that is used where none is named. */
const shops = new Map<string, ShopFolder>();
/** The folder of the invoices that the replays take. */
let papers: string;
const ups: ReturnType<typeof spawn>[] = [];
const hasKafka = await requiresKafka();

beforeAll(async () => {
  papers = await mkdtemp(join(tmpdir(), "onsale-invoices-"));
  const first = (await readFile(invoices, "utf8")).split("\n").slice(0, 1_000);
  await writeFile(join(papers, "few.csv"), first.join("\n"));
  const named = commands.map((command) => / --data (\S+)/.exec(command)?.[1] ?? "");
  for (const name of new Set(named)) shops.set(name, await shopFolder());
});
afterAll(async () => {
  for (const up of ups) up.kill("SIGKILL");
  for (const shop of shops.values()) await shop.remove();
  await rm(papers, { recursive: true, force: true });
});

test("it opens with the two commands that do all the set-up", () => {
  expect(commands.slice(0, 2)).toEqual(["./onsale up", "./onsale test"]);
});

test("every command of its table exists, and every command that exists is in it", async () => {
  const { stdout } = await run(["help"]);
  const existing = [...stdout.matchAll(/^ {2}([a-z]+)[ \n]/gm)].map(([, verb]) => verb);
  expect([...table, "help"].toSorted()).toEqual(existing.toSorted());
});

describe("its commands, one after the other", { timeout: 240_000 }, () => {
  for (const command of commands) test.skipIf(command.includes("kafka") && !hasKafka)(command, () => perform(command));
});

/** Runs one command of the page; each is expected to succeed. */
async function perform(command: string): Promise<void> {
  expect(command).toMatch(/^\.\/onsale /);
  const [, verb = "", ...rest] = command.split(" ");
  const [folder, others] = folderIn(rest);
  if (verb === "up") return await open(folder, others);
  // All of them would run this very test; a few show that the command works.
  const args = verb === "test" ? ["kit/postgres/test/sql.unit", ...others] : [...others, "--data", folder.root];
  if (verb === "replay") args.unshift(join(papers, "few.csv"));
  const { code, stdout, stderr } = await run([verb, ...args]);
  expect(code, stdout + stderr).toBe(0);
}

async function open({ root, server }: ShopFolder, args: readonly string[]): Promise<void> {
  ups.push(spawn(launcher, ["up", "--data", root, ...args], { stdio: "ignore", env: childEnvironment({}) }));
  // Its file says so, too, and is cheaper to ask than a command.
  await waitFor(async () => (await server())?.url !== undefined, { withinMs: 180_000, what: "an open shop" });
}

/** The test's folder instead of the one that is named, and the other arguments. */
function folderIn(args: readonly string[]): [ShopFolder, string[]] {
  const at = args.indexOf("--data");
  const folder = shops.get(at === -1 ? "" : (args[at + 1] ?? ""));
  if (!folder) throw new Error(`There is no folder for ${args.join(" ")}.`);
  return [folder, at === -1 ? [...args] : args.toSpliced(at, 2)];
}

const run = (args: readonly string[]): Promise<Ended> =>
  new Promise((resolve) => {
    execFile(launcher, args, { env: childEnvironment({}), maxBuffer: 2 ** 26 }, (error, stdout, stderr) =>
      resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr }),
    );
  });
