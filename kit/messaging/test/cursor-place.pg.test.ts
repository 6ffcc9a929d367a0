import { bigint, sql, type Transaction } from "@onsale/postgres";
import { afterEach, beforeEach, expect, test } from "vitest";
import { FencedError, Progress } from "../src/consumers/progress.ts";
import { pauseStreams } from "../src/operations/streams.ts";
import { OutboxLog } from "../src/outbox/outbox-log.ts";
import type { OutboxCursor } from "../src/outbox/snapshot-reader.ts";
import type { FeedName } from "../src/telemetry.ts";
import { type Doors, openDoors } from "./doors.ts";

const feed: FeedName = { reader: "beta", source: "alpha", lane: "online", slot: 0 };

const lookUpsSql = sql("test.look-ups-by-key", { takes: [], gives: { lookUps: bigint } })`
  select coalesce(idx_scan, 0) + coalesce(seq_scan, 0) as "lookUps" from pg_stat_xact_user_tables where relid = 'reader_cursor'::regclass`;

let doors: Doors;
let progress: Progress;
let high = 0;

beforeEach(async () => {
  doors = await openDoors();
  // A table of one page is read whole; it is one of many that its versions make expensive.
  await doors.admin.query(`
    insert into reader_cursor (reader, source, lane, slot, slots)
    select 'other-' || number, 'alpha', 'online', 0, 1 from generate_series(1, 1000) as number`);
  await doors.admin.query("analyze reader_cursor");
  progress = await take("one");
  high = 0;
});
afterEach(() => doors[Symbol.asyncDispose]());

async function take(owner: string, leaseMs = 60_000): Promise<Progress> {
  const taken = await Progress.take(doors.beta, feed, { owner, leaseMs, log: new OutboxLog({ database: doors.beta }) });
  if (!taken) throw new Error("The stream is in other hands.");
  return taken;
}

/** So far, in this session. */
async function lookUps(tx: Transaction): Promise<number> {
  const [row] = await tx.query(lookUpsSql, []);
  return row?.lookUps ?? 0;
}

/** Moves the cursor on, and tells how often its row was looked up by its key for it. */
const move = (by = progress, fails = false): Promise<number> =>
  doors.beta.transaction(async (tx: Transaction) => {
    const before = await lookUps(tx);
    await by.move(tx, { ...(by.saved as OutboxCursor), high: ++high });
    if (fails) throw new Error("The effects fail.");
    return (await lookUps(tx)) - before;
  });

test("a cursor is looked up once and then found where it lies", async () => {
  expect(await move()).toBe(1);
  for (let time = 0; time < 50; time++) expect(await move()).toBe(0);
});

test("a row that somebody else has moved is found again by its key", async () => {
  await move();
  await doors.beta.transaction((tx) => pauseStreams(tx, { reader: "beta", operator: "olga" }));
  expect(await move()).toBe(1);
  expect(await move()).toBe(0);
});

test("what was rolled back leaves the place where it was", async () => {
  await move();
  await expect(move(progress, true)).rejects.toThrow("The effects fail.");
  expect(await move()).toBe(0);
});

test("an owner that was taken over can't move it, wherever the row lies", async () => {
  await move();
  await doors.admin.query("update reader_cursor set lease_until = '-infinity'");
  const other = await take("other");
  await expect(move()).rejects.toThrow(FencedError);
  expect(await move(other)).toBe(1);
  await expect(move()).rejects.toThrow(FencedError);
});

/** Looks whether the lease is still its own, and tells how often the row was looked up by its key for it. */
const check = (by = progress): Promise<number> =>
  doors.beta.transaction(async (tx: Transaction) => {
    const before = await lookUps(tx);
    await by.check(tx);
    return (await lookUps(tx)) - before;
  });

test("who only looks whether the lease is its own finds the row where it lies, and behind a stranger's move by its key", async () => {
  expect(await check()).toBe(1);
  await move();
  for (let time = 0; time < 50; time++) expect([await check(), await move(), await check()]).toEqual([0, 0, 0]);
  await doors.beta.transaction((tx) => pauseStreams(tx, { reader: "beta", operator: "olga" }));
  expect(await check()).toBe(1);
  await doors.admin.query("update reader_cursor set lease_until = '-infinity', paused_at = null");
  await take("other");
  await expect(check()).rejects.toThrow(FencedError);
});

test("a cursor that moves knows whether it was paused without a look, one that rests looks", async () => {
  const notes: boolean[] = [];
  await move();
  notes.push(await progress.wasWantedBackWithin(60_000));
  await doors.beta.transaction((tx) => pauseStreams(tx, { reader: "beta", operator: "olga" }));
  notes.push(await progress.wasWantedBackWithin(60_000), await progress.wasWantedBackWithin(0));
  await move();
  notes.push(await progress.wasWantedBackWithin(60_000));
  expect(notes).toEqual([false, false, true, true]);
});
