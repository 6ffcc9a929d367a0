/** The README's commands, run in its order by the launcher itself. Only the data's folder is another, and the tests are fewer. */

import { execFile, spawn } from "node:child_process";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { childEnvironment } from "@onsale/runtime";
import { waitFor } from "@onsale/testing";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { checkout } from "../src/checkout.ts";
import { type Ended, shopFolder } from "./command-line.ts";

const launcher = join(checkout, "onsale");
const readme = await readFile(join(checkout, "README.md"), "utf8");
const commands = [...readme.matchAll(/^```sh\n(.*?)\n```$/gms)].flatMap(([, block = ""]) => block.split("\n"));
const table = [...readme.matchAll(/^\| `\.\/onsale (\w+)/gm)].map(([, verb]) => verb ?? "");

let shop: Awaited<ReturnType<typeof shopFolder>>;
let scarce: Awaited<ReturnType<typeof shopFolder>>;
let up: ReturnType<typeof spawn> | undefined;

beforeAll(async () => {
  [shop, scarce] = await Promise.all([shopFolder(), shopFolder()]);
});
afterAll(async () => {
  up?.kill("SIGKILL");
  await Promise.all([shop.remove(), scarce.remove()]);
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
  for (const command of commands) test(command, () => perform(command));
});

/** Runs one command of the page; each is expected to succeed. */
async function perform(command: string): Promise<void> {
  expect(command).toMatch(/^\.\/onsale /);
  const [, verb = "", ...rest] = command.split(" ");
  if (verb === "up") return await open();
  // All of them would run this very test; a few show that the command works.
  const args = verb === "test" ? [verb, "kit/postgres/test/sql.unit", ...rest] : [verb, ...inFolders(rest)];
  const { code, stdout, stderr } = await run(args);
  expect(code, stdout + stderr).toBe(0);
}

async function open(): Promise<void> {
  up = spawn(launcher, ["up", "--data", shop.root], { stdio: "ignore", env: childEnvironment({}) });
  await waitFor(async () => (await shop.status()).ready, { withinMs: 120_000, what: "an open shop" });
}

function inFolders(args: readonly string[]): string[] {
  const named = args.indexOf("--data");
  if (named === -1) return [...args, "--data", shop.root];
  return args.with(named + 1, scarce.root);
}

const run = (args: readonly string[]): Promise<Ended> =>
  new Promise((resolve) => {
    execFile(launcher, args, { env: childEnvironment({}), maxBuffer: 2 ** 26 }, (error, stdout, stderr) =>
      resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr }),
    );
  });
