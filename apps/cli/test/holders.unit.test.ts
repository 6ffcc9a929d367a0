import { spawn } from "node:child_process";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import {
  type DataFolder,
  ForeignFolderError,
  foldersIn,
  isDataFolder,
  makeDataFolder,
  removeData,
} from "../src/data-folder.ts";
import { DataHeldError, livingHolder, takeData } from "../src/holders.ts";
import { writeJsonFile } from "../src/json-file.ts";
import { endProcess, isAlive, markOf, ownMark, type ProcessMark } from "../src/process-mark.ts";

let data: DataFolder;
beforeEach(async () => {
  data = foldersIn(await mkdtemp(join(tmpdir(), "onsale data ")));
  await makeDataFolder(data);
});
afterEach(() => rm(data.root, { recursive: true, force: true }));

const heldBy = (name: string, process: ProcessMark): void =>
  writeJsonFile(join(data.holders, name), { process, verb: "up", since: "2026-11-21T09:00:00.000Z" });

test("who comes second is told who holds the data, by which command and since when", async () => {
  heldBy("other.json", ownMark());
  await expect(takeData(data, "seed")).rejects.toThrow(
    new RegExp(`held by .onsale up.: process ${process.pid}, since 2026-11-21`),
  );
  await expect(takeData(data, "seed")).rejects.toBeInstanceOf(DataHeldError);
  expect(await readdir(data.holders)).toEqual(["other.json"]);
});

test("a dead holder counts for nothing, also when its process id belongs to somebody else now", async () => {
  heldBy("reused.json", { pid: process.pid, began: "another moment" });
  heldBy("gone.json", { pid: 2 ** 22 + 1, began: "once" });
  const hold = await takeData(data, "up");
  expect(await livingHolder(data)).toMatchObject({ verb: "up", process: { pid: process.pid } });
  await hold.release();
  expect(await livingHolder(data)).toBeUndefined();
  expect(await readdir(data.holders)).toEqual([]);
});

test("of many who come at the same moment at most one gets in", async () => {
  const outcomes = await Promise.allSettled(Array.from({ length: 8 }, () => takeData(data, "up")));
  expect(outcomes.filter(({ status }) => status === "fulfilled").length).toBeLessThanOrEqual(1);
});

test("a process that has ended and was not collected yet is not alive", async () => {
  // The shell's child ends at once and stays uncollected, because the shell has become `sleep`.
  const parent = spawn("sh", ["-c", "true & echo $!; exec sleep 60"], { stdio: ["ignore", "pipe", "ignore"] });
  const pid = await new Promise<number>((resolve) => parent.stdout.once("data", (text) => resolve(Number(text))));
  await expect.poll(() => markOf(pid), { timeout: 5_000 }).toBeUndefined();
  parent.kill("SIGKILL");
});

test("a frozen process is ended, and another one under the same number is left alone", async () => {
  const child = spawn("sleep", ["60"]);
  const ended = new Promise((resolve) => child.once("exit", (_, signal) => resolve(signal)));
  const mark = markOf(child.pid ?? 0);
  if (mark === undefined) throw new Error("The child did not start.");
  await endProcess({ ...mark, began: "another moment" }, { signal: "SIGKILL", withinMs: 1_000 });
  expect(isAlive(mark)).toBe(true);
  child.kill("SIGSTOP");
  await endProcess(mark, { signal: "SIGTERM", withinMs: 5_000 });
  expect(await ended).toBe("SIGTERM");
});

test("a folder with other things in it is neither taken nor emptied", async () => {
  const foreign = foldersIn(await mkdtemp(join(tmpdir(), "somebody's ")));
  writeJsonFile(join(foreign.root, "thesis.json"), {});
  await expect(makeDataFolder(foreign)).rejects.toBeInstanceOf(ForeignFolderError);
  await expect(isDataFolder(foreign)).rejects.toThrow("does not look like Onsale's data");
  expect(await readdir(foreign.root)).toEqual(["thesis.json"]);
  await rm(foreign.root, { recursive: true });
});

test("what is not ours in a folder of ours stays", async () => {
  writeJsonFile(join(data.root, "notes.json"), {});
  expect(await isDataFolder(data)).toBe(true);
  expect(await removeData(data)).toEqual({ left: ["notes.json"] });
  expect(await readdir(data.root)).toEqual(["notes.json"]);
});

test("an empty folder, and one that does not exist, hold no data", async () => {
  expect(await isDataFolder(foldersIn(join(data.root, "nowhere")))).toBe(false);
  expect(await isDataFolder(foldersIn(data.postgres))).toBe(false);
});
