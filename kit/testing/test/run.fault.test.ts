import { access } from "node:fs/promises";
import { basename, dirname } from "node:path";
import { childEnvironment } from "@onsale/runtime";
import { type SpawnedNode, spawnNode, waitFor } from "@onsale/testing";
import { expect, test } from "vitest";

const vitest = new URL("../../../node_modules/vitest/vitest.mjs", import.meta.url);
const config = new URL("./fixtures/vitest.config.ts", import.meta.url).pathname;

/** Both streams in one pipe, as at a terminal: of two it is not known which line was written last. */
const oneStream = ["sh", "-c", 'exec "$@" 2>&1', "sh"];

const startRun = (pattern: string, more: Record<string, string> = {}): Promise<SpawnedNode> =>
  spawnNode(vitest, {
    args: ["run", "--config", config, pattern],
    env: childEnvironment({ NO_COLOR: "1", ...more }),
    wrapper: oneStream,
  });

/** Runs made-up tests to their end. */
async function run(pattern: string, more: Record<string, string> = {}) {
  await using node = await startRun(pattern, more);
  const code = await node.ended;
  // The streams may still hold lines when the process has ended.
  await node.line(/ passed, \d+ failed, \d+ skipped$/);
  return { code, last: node.lines.at(-1), lines: node.lines };
}

test("the last line counts what passed, failed and was skipped, and the skipped are named", async () => {
  const { code, last, lines } = await run("mixed");
  expect(last).toBe("1 passed, 1 failed, 1 skipped");
  expect(code).toBe(1);
  expect(lines).toContain("skipped: mixed.fixture.ts > with Unobtainium > is skipped");
  expect(lines.join("\n")).toContain("SKIPPED: the tests of this file that need Unobtainium, which is absent.");
});

test("what is absent fails a run that requires everything", async () => {
  const { code, last } = await run("mixed", { ONSALE_TEST_REQUIRE_ALL: "1" });
  expect(last).toBe("0 passed, 1 failed, 0 skipped");
  expect(code).toBe(1);
});

test("a run in which all is well", async () => {
  expect(await run("passing")).toMatchObject({ code: 0, last: "1 passed, 0 failed, 0 skipped" });
});

test("a file that can't be read is a failure", async () => {
  expect(await run("broken")).toMatchObject({ code: 1, last: "0 passed, 1 failed, 0 skipped" });
});

test("a run in which nothing was tested is a failure", async () => {
  expect(await run("no-such-file")).toMatchObject({ code: 1, last: "0 passed, 1 failed, 0 skipped" });
  expect(await run("skipped")).toMatchObject({ code: 1, last: "0 passed, 1 failed, 1 skipped" });
});

test("what tests left in their folder goes with the run", async () => {
  const { code, lines } = await run("littering");
  expect(code).toBe(0);
  const [litter = ""] = lines.flatMap((line) => /litter: (.+)/.exec(line)?.[1] ?? []);
  expect(basename(dirname(litter))).toMatch(/^onsale-run-/);
  await expect(access(dirname(litter))).rejects.toThrow("no such file");
});

/** Kills vitest while a test goes on; gives where its server's data were, and who worked in a folder of the run. */
async function killRun(): Promise<{ data: string; detached: number }> {
  await using node = await startRun("endless");
  const data = (await node.line(/data: /, 60_000)).replace(/.*data: /, "");
  const detached = Number((await node.line(/detached: /)).replace(/.*detached: /, ""));
  await access(data);
  expect(process.kill(detached, 0)).toBe(true);
  node.signal("SIGKILL");
  return { data, detached };
}

test("the throw-away server and its folder go when vitest is killed", async () => {
  const folderOfRun = dirname(dirname((await killRun()).data));
  expect(basename(folderOfRun)).toMatch(/^onsale-run-/);
  await waitFor(() =>
    access(folderOfRun).then(
      () => false,
      () => true,
    ),
  );
}, 90_000);

test.skipIf(process.platform !== "linux")(
  "so does what works in a folder of the run",
  async () => {
    const { detached } = await killRun();
    await waitFor(() => {
      try {
        return !process.kill(detached, 0);
      } catch {
        return true;
      }
    });
  },
  90_000,
);
