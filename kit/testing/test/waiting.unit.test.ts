import { spawnNode, testClock, testIds, waitFor } from "@onsale/testing";
import { expect, test } from "vitest";

test("waiting gives what the condition gave when it first gave something", async () => {
  const answers = [undefined, false, null, 0];
  expect(await waitFor(() => answers.shift())).toBe(0);
});

test("waiting has a bound, and the last failure of the condition is the cause", async () => {
  const failing = waitFor(
    () => {
      throw new Error("refused");
    },
    { withinMs: 30, what: "the server" },
  );
  await expect(failing).rejects.toThrow("the server did not come within 30 ms");
  await expect(failing).rejects.toMatchObject({ cause: { message: "refused" } });
});

test("ids rise and are the same in every run", () => {
  const ids = testIds();
  expect([ids.uuid(), ids.uuid()]).toEqual([
    "00000000-0000-7000-8000-000000000001",
    "00000000-0000-7000-8000-000000000002",
  ]);
});

test("the clock stands until it is moved", () => {
  const clock = testClock("2026-11-21T08:00:00.000Z");
  clock.advance(1_500);
  expect([clock.now(), clock.now()]).toEqual(["2026-11-21T08:00:01.500Z", "2026-11-21T08:00:01.500Z"]);
});

const speaker = new URL("./speaker-process.ts", import.meta.url);

test("a process's lines can be waited for, and it is gone when the test lets go of it", async () => {
  let ended: Promise<unknown> | undefined;
  {
    await using node = await spawnNode(speaker, { args: ["hello", "world"] });
    ended = node.ended;
    expect(await node.line(/^world$/)).toBe("world");
    expect(node.lines).toContain("hello");
  }
  expect(await ended).toBe("SIGKILL");
});

test("waiting for a line of a process that has ended fails at once, with its last words", async () => {
  await using node = await spawnNode(speaker, { args: ["--end", "farewell"] });
  await expect(node.line(/^never$/)).rejects.toThrow("farewell");
});
