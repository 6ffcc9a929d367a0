import { expect, test } from "vitest";
import { Lifecycle } from "../src/lifecycle.ts";
import { silentLogger } from "../src/logger.ts";

function recorder() {
  const events: string[] = [];
  const life = new Lifecycle(silentLogger());
  const part = (name: string) =>
    life.start(name, { start: () => void events.push(`start ${name}`), stop: () => void events.push(`stop ${name}`) });
  return { events, life, part };
}

test("parts stop in reverse order", async () => {
  const { events, life, part } = recorder();
  await part("a");
  await Promise.all([part("b"), part("c")]);
  await life.stop("test");
  expect(events).toEqual(["start a", "start b", "start c", "stop c", "stop b", "stop a"]);
});

test("a part that hangs or throws keeps nobody from stopping, and is named", async () => {
  const { events, life, part } = recorder();
  await part("a");
  await life.start("hangs", { start: () => undefined, stop: () => new Promise(() => undefined), stopWithinMs: 5 });
  await life.start("throws", { start: () => undefined, stop: () => Promise.reject(new Error("no")) });
  const { unclean } = await life.stop("test");
  expect(unclean).toEqual([
    { name: "throws", why: "no" },
    { name: "hangs", why: "took more than 5 ms" },
  ]);
  expect(events.at(-1)).toBe("stop a");
});

test("a start that fails is passed on, and what runs already can be stopped", async () => {
  const { events, life, part } = recorder();
  await part("a");
  await expect(life.start("b", { start: () => Promise.reject(new Error("port taken")) })).rejects.toThrow("port taken");
  expect(await life.stop("b failed")).toEqual({ unclean: [] });
  expect(events).toEqual(["start a", "stop a"]);
});

test("a part that was still starting when the stop began is stopped all the same", async () => {
  const { events, life } = recorder();
  const slow = Promise.withResolvers<void>();
  const starting = life.start("slow", { start: () => slow.promise, stop: () => void events.push("stop slow") });
  await life.stop("test");
  slow.resolve();
  await expect(starting).rejects.toThrow("was stopped while it started");
  expect(events).toEqual(["stop slow"]);
  await expect(life.start("late", { start: () => undefined })).rejects.toThrow("the program is stopping");
});

test("stopping twice is stopping once", async () => {
  const { events, life, part } = recorder();
  await part("a");
  await Promise.all([life.stop("once"), life.stop("twice")]);
  expect(events).toEqual(["start a", "stop a"]);
});
