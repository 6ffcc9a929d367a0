import { type ChildProcess, spawn } from "node:child_process";
import { waitFor } from "@onsale/testing";
import { expect, onTestFinished, test } from "vitest";
import { isAlive, type ProcessMark } from "../src/process-mark.ts";
import { supervise } from "../src/supervise.ts";

/** Supervises `sleep`; the n-th start fails where `fails` says so. */
async function supervisedSleep(fails: (start: number) => boolean = () => false) {
  const children: ChildProcess[] = [];
  const marks: ProcessMark[] = [];
  const words: string[] = [];
  let starts = 0;
  const supervised = await supervise({
    name: "sleep",
    async start() {
      if (fails(++starts)) throw new Error("not now");
      const child = spawn("sleep", ["60"]);
      children.push(child);
      return { pid: child.pid ?? 0, stop: async () => void child.kill("SIGKILL") };
    },
    onStarted: (mark) => marks.push(mark),
    say: (text) => words.push(text),
  });
  onTestFinished(() => children.forEach((child) => void child.kill("SIGKILL")));
  return { supervised, children, marks, words, starts: () => starts };
}

test("a child that dies is started again, as often as it takes, and each one is told", async () => {
  const { supervised, children, marks, words } = await supervisedSleep((start) => start === 2 || start === 3);
  children[0]?.kill("SIGKILL");
  await waitFor(() => marks.length === 2);
  expect(words).toEqual(["sleep ended by itself; starting it again.", "sleep runs again."]);
  await supervised.stop();
  await waitFor(() => marks.every((mark) => !isAlive(mark)));
});

test("a child that is stopped stays stopped", async () => {
  const { supervised, marks, starts } = await supervisedSleep();
  await supervised.stop();
  await waitFor(() => marks.every((mark) => !isAlive(mark)));
  expect(starts()).toBe(1);
});

test("a first start that fails is the caller's to know", async () => {
  await expect(supervisedSleep(() => true)).rejects.toThrow("not now");
});

test("a stop during the pause before a new start leaves nothing running", async () => {
  const { supervised, children, marks, starts } = await supervisedSleep((start) => start > 1);
  children[0]?.kill("SIGKILL");
  await waitFor(() => starts() > 1);
  await supervised.stop();
  const before = starts();
  expect(marks.some(isAlive)).toBe(false);
  expect(starts()).toBe(before);
});
