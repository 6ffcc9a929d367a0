import { waitFor } from "@onsale/testing";
import { afterEach, beforeEach, expect, test } from "vitest";
import { consumer } from "../src/consumers/consumer.ts";
import { listLetters } from "../src/operations/dead-letters.ts";
import { latestOperations } from "../src/operations/operation-log.ts";
import {
  cancelRedrive,
  findRedrive,
  type Redrive,
  type RedriveWish,
  startRedrive,
  stepRedrive,
} from "../src/operations/redrive.ts";
import { type Doors, heard, moved, openDoors, painted } from "./doors.ts";

const keys = Array.from({ length: 60 }, (_, index) => `door-${index}`);
const by = { operator: "olga", reason: "the locksmith was here" };

let doors: Doors;
let jammed: (key: string) => boolean;
let applied: ReturnType<typeof heard>;

beforeEach(async () => {
  doors = await openDoors();
  applied = heard();
  jammed = () => true;
  const hear = consumer("beta.hear", {
    on: [moved, painted],
    in: "batch",
    do: async (_tx, events) => {
      if (events.some(({ key }) => jammed(key))) throw new Error("jammed");
      applied.add(events);
    },
  });
  doors.run([hear], {}, { attempts: 1 });
  await doors.tell(keys, [1]);
  await doors.untilDead(keys.length);
});
afterEach(() => doors[Symbol.asyncDispose]());

const start = async (wish: Partial<RedriveWish> = {}): Promise<Redrive> => {
  const whole = { reader: "beta", mode: "redeliver", perSecond: 200, ...by, ...wish } as const;
  const started = await doors.beta.transaction((tx) => startRedrive(tx, whole));
  if (!started) throw new Error("Nothing fitted.");
  return started;
};

/** Carries redrives on as the job does, by whichever database is given, until `isEnough`. */
const carryOn = (isEnough: (redrive: Redrive) => boolean, redriveId: string, database = doors.beta) =>
  waitFor(async () => {
    await stepRedrive(database);
    const redrive = await findRedrive(doors.beta, redriveId);
    return redrive && isEnough(redrive) ? redrive : undefined;
  });

const deadKeys = async (): Promise<string[]> =>
  (await listLetters(doors.beta, {}, { limit: 100 })).map(({ key }) => key).sort();

test("all that fit are put back at the rate that was asked for, and applied", async () => {
  jammed = () => false;
  const { redriveId } = await start({ perSecond: 60 });
  const done = await carryOn(({ state }) => state === "done", redriveId);
  expect(done).toMatchObject({ counted: 60, redriven: 60, startedBy: "olga", endedAt: expect.any(String) });
  // Sixty at sixty a second: the last one a second after the start, less the one that may go at once.
  expect(Date.parse(done.endedAt ?? "") - Date.parse(done.startedAt)).toBeGreaterThan(950);
  await applied.atLeast(60);
  expect(await deadKeys()).toEqual([]);
  expect(new Set(applied.events.map(({ key }) => key)).size).toBe(60);
});

test("each letter leaves a line in the log, with the redrive that it belongs to", async () => {
  jammed = () => false;
  const { redriveId } = await start({ key: "door-7" });
  await carryOn(({ state }) => state === "done", redriveId);
  expect(await latestOperations(doors.beta, { limit: 10 })).toMatchObject([
    { operation: "dead-letter.redeliver", operator: "olga", after: { redriveId } },
    { operation: "redrive.start", target: redriveId, reason: by.reason, after: { counted: 1, key: "door-7" } },
  ]);
});

test("cancelled in the middle, the rest stays dead; cancelled again, it is refused", async () => {
  jammed = () => false;
  const { redriveId } = await start({ perSecond: 40 });
  await carryOn(({ redriven }) => redriven >= 10, redriveId);
  const cancel = () => doors.beta.transaction((tx) => cancelRedrive(tx, { redriveId, ...by }));
  expect(await cancel()).toMatchObject({ kind: "cancelled", redrive: { state: "cancelled" } });
  const { redriven } = (await findRedrive(doors.beta, redriveId)) ?? {};
  expect(await stepRedrive(doors.beta)).toBeUndefined();
  await applied.atLeast(redriven ?? 0);
  expect(applied.events).toHaveLength(redriven ?? 0);
  expect(await deadKeys()).toHaveLength(60 - (redriven ?? 0));
  expect(await cancel()).toMatchObject({ code: "REDRIVE_ENDED" });
  const unknown = { redriveId: "00000000-0000-4000-8000-000000000000", ...by };
  expect(await doors.beta.transaction((tx) => cancelRedrive(tx, unknown))).toMatchObject({ code: "REDRIVE_NOT_FOUND" });
});

test("what dies again is not put back again by the same redrive", async () => {
  jammed = (key) => key.endsWith("5");
  const { redriveId } = await start();
  const done = await carryOn(({ state }) => state === "done", redriveId);
  expect(done.redriven).toBe(60);
  await applied.atLeast(54);
  const jammedKeys = keys.filter((key) => key.endsWith("5")).sort();
  await expect.poll(deadKeys).toEqual(jammedKeys);
  expect(await stepRedrive(doors.beta)).toBeUndefined();
  expect(await deadKeys()).toEqual(jammedKeys);
});

test("a redrive outlives the process that worked it off, and several processes keep its rate together", async () => {
  jammed = () => false;
  const others = [doors.home.open("beta"), doors.home.open("beta")];
  const { redriveId } = await start({ perSecond: 60 });
  await carryOn(({ redriven }) => redriven >= 5, redriveId);
  // The first takes no part any more; two others work it off side by side.
  const [done] = await Promise.all(
    others.map((database) => carryOn(({ state }) => state === "done", redriveId, database)),
  );
  expect(done).toMatchObject({ redriven: 60 });
  expect(Date.parse(done?.endedAt ?? "") - Date.parse(done?.startedAt ?? "")).toBeGreaterThan(950);
  await applied.atLeast(60);
  expect(applied.events).toHaveLength(60);
});

test("one redriven by hand meanwhile is passed over, and a filter that nothing fits starts nothing", async () => {
  const started = doors.beta.transaction((tx) =>
    startRedrive(tx, { reader: "beta", type: "door.shut.v1", mode: "redeliver", perSecond: 1, ...by }),
  );
  expect(await started).toBeUndefined();
  const { redriveId } = await start();
  await doors.admin.query("delete from dead_letter where key = 'door-3'");
  expect(await carryOn(({ state }) => state === "done", redriveId)).toMatchObject({ counted: 60, redriven: 59 });
});
