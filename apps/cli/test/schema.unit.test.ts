import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { checkout } from "../src/checkout.ts";
import { onsale } from "./command-line.ts";

const checked = async (args: readonly string[], env: Readonly<Record<string, string>> = {}) => {
  const { code, stdout, stderr } = await onsale(["schema", "check", "-o", "json", ...args], env);
  return { code, stderr, report: stdout === "" ? undefined : JSON.parse(stdout) };
};

test("every event keeps the promises that are frozen in the working tree", async () => {
  const { code, report } = await checked([]);
  expect(report).toEqual({ checked: expect.any(Number), breaks: [], added: [], unfitSamples: [] });
  expect(report.checked).toBeGreaterThan(20);
  expect(code).toBe(0);
});

test("a field that is needed from now on breaks who hears the type, also where its sample was forgotten", async () => {
  const { code, report, stderr } = await checked([], await withNeededChannel());
  expect(report).toMatchObject({
    unfitSamples: ["order.placed.v1"],
    breaks: [
      { type: "order.placed.v1", path: "/channel", breaks: expect.arrayContaining(["inventory.reserve-stock"]) },
    ],
  });
  expect(stderr).toMatch(/order\.placed\.v1\/channel breaks BACKWARD.*inventory\.reserve-stock/);
  expect(stderr).toContain("The sample of order.placed.v1 does not fit its schema.");
  expect(code).toBe(1);
});

describe("against a commit", () => {
  const git = promisify(execFile);
  let folder: string;
  let env: Record<string, string>;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "onsale-schema-"));
    env = { GIT_DIR: join(folder, ".git") };
    const run = (...args: readonly string[]) => git("git", ["-C", folder, ...args]);
    await run("init", "--quiet");
    await run("config", "user.email", "test@example.org");
    await run("config", "user.name", "test");
    await run("commit", "--quiet", "--allow-empty", "-m", "before anything was frozen");
    await run("tag", "empty");
    await mkdir(join(folder, "contracts/frozen"), { recursive: true });
    await writeFile(join(folder, "contracts/frozen/order.placed.v1.json"), JSON.stringify(await onceNarrower()));
    await run("add", ".");
    await run("commit", "--quiet", "-m", "an order had a channel, and could be for any number of units");
    await run("tag", "before");
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  /** What is frozen, as if an order's line had once been allowed ten million units, and its rule were FULL. */
  async function onceNarrower(): Promise<object> {
    const frozen = JSON.parse(await readFile(join(checkout, "contracts/frozen/order.placed.v1.json"), "utf8"));
    const { schema } = frozen.shapes[0];
    schema.properties.lines.items.properties.units.maximum = 10_000_000;
    schema.properties.channel = { type: "string" };
    schema.required.push("channel");
    return { ...frozen, compatibility: "FULL" };
  }

  test("a change that breaks consumers is refused by name, and says what and for whom", async () => {
    const { code, report, stderr } = await checked(["--against", "before"], env);
    const breaks = expect.arrayContaining(["inventory.reserve-stock"]);
    expect(report.breaks).toEqual([
      {
        ...{ type: "order.placed.v1", path: "/lines/*/units", rule: "FULL", breaks },
        what: "new consumers can't read old events: written up to 10000000, read up to 1000000",
      },
      {
        ...{ type: "order.placed.v1", path: "/channel", rule: "FULL", breaks },
        what: "consumers that are not renewed yet can't read new events: readers need it, and it is never written",
      },
    ]);
    expect(report.checked).toBe(1);
    expect(report.added).toContain("stock.reserved.v1");
    expect(stderr).toContain("order.placed.v1/channel breaks FULL");
    expect(code).toBe(1);
  });

  test.each([
    ["no-such-branch", "git knows no such commit"],
    ["--output=/tmp/x", "git knows no such commit"],
    ["empty", "There is nothing frozen in contracts/frozen of empty."],
  ])("%s is refused in words, and is not taken for a good end", async (ref, words) => {
    const { code, report, stderr } = await checked([`--against=${ref}`], env);
    expect({ code, report }).toEqual({ code: 1, report: undefined });
    expect(stderr).toContain(words);
  });
});

/** Has the command read another definition of a placed order than lies in the checkout: one that needs a `channel`. */
async function withNeededChannel(): Promise<Record<string, string>> {
  const folder = await mkdtemp(join(tmpdir(), "onsale-schema-"));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const hook = join(folder, "hook.mjs");
  await writeFile(
    hook,
    `import { registerHooks } from "node:module";
     registerHooks({
       load(url, context, next) {
         const loaded = next(url, context);
         if (!url.endsWith("/contracts/src/orders.ts")) return loaded;
         const source = String(loaded.source);
         const changed = source.replace("placedAt: Instant,", "placedAt: Instant, channel: Type.String(),");
         if (changed === source) throw new Error("Nothing was changed.");
         return { ...loaded, source: changed };
       },
     });`,
  );
  return { NODE_OPTIONS: `--import ${pathToFileURL(hook).href}` };
}
