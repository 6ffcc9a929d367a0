import type { Database } from "@onsale/postgres";
import { type TestDatabase, waitFor } from "@onsale/testing";
import type pg from "pg";
import { Type } from "typebox";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type CallOrder, consumer } from "../src/consumers/consumer.ts";
import { type RunningFeeds, startFeeds } from "../src/consumers/feeds.ts";
import { type Delivered, defineEvent, fact } from "../src/events/event.ts";
import { publish } from "../src/outbox/publish.ts";
import { type TwoServices, twoServices } from "./two-services.ts";

const moved = defineEvent("door.moved.v1", {
  key: "id",
  lanes: { online: true },
  schema: Type.Object({ id: Type.String(), step: Type.Integer() }),
  sample: { id: "d", step: 1 },
});

let services: TwoServices;
let home: TestDatabase;
let alpha: Database;
let admin: pg.Pool;
let running: RunningFeeds[];

beforeEach(async () => {
  services = await twoServices();
  ({ home, alpha, admin } = services);
  running = [];
});
afterEach(async () => {
  await Promise.all(running.map((feeds) => feeds.drain()));
  await services[Symbol.asyncDispose]();
});

type Call = (event: Delivered<typeof moved>) => Promise<void>;

function run(order: CallOrder, call: Call, attempts = 3): RunningFeeds {
  const feeds = startFeeds({
    service: "beta",
    database: home.open("beta"),
    consumers: [consumer("beta.call", { on: moved, in: "each", concurrency: 16, order, call })],
    ports: { clock: { now: () => "unused" }, ids: { uuid: () => "unused" } },
    sourceOf: () => "alpha",
    retry: { attempts, firstDelayMs: 10 },
  });
  running.push(feeds);
  return feeds;
}

/** Every step of every key, step by step. */
async function publishSteps(keys: readonly string[], steps: readonly number[]): Promise<void> {
  await alpha.transaction((tx) =>
    publish(
      tx,
      steps.flatMap((step) =>
        keys.map((id) => fact(moved, { data: { id, step }, sequence: step, cause: { correlationId: "test" } })),
      ),
    ),
  );
}

test("key: calls of one key come one after the other, those of several at once", async () => {
  const line = record();
  run("key", line.call);
  await publishSteps(["a", "b", "c"], [1, 2, 3, 4]);
  await waitFor(() => line.done.length === 12);
  for (const key of ["a", "b", "c"])
    expect(line.done.filter((name) => name.startsWith(key))).toEqual([1, 2, 3, 4].map((step) => `${key}${step}`));
  expect(line.most()).toBe(3);
});

test("key: one call that takes long holds up nobody, also when more than can be under way comes behind it", async () => {
  const stuck = Promise.withResolvers<void>();
  const called = new Set<string>();
  run("key", async ({ key }) => {
    if (key === "slow") await stuck.promise;
    called.add(key);
  });
  await publishSteps(["slow"], [1]);
  const others = Array.from({ length: 2_500 }, (_, index) => `key-${index}`);
  await publishSteps(others, [1]);
  await waitFor(() => called.size === others.length);
  expect(called.has("slow")).toBe(false);
  stuck.resolve();
  await waitFor(() => called.has("slow"));
});

test("key: what comes behind a call that fails is not called before it, and other keys are", async () => {
  const line = record();
  let isJammed = true;
  run(
    "key",
    async (event) => {
      if (event.key === "a" && event.data.step === 1 && isJammed) throw new Error("a1 is jammed");
      await line.call(event);
    },
    12,
  );
  await publishSteps(["a"], [1]);
  const waiting = async (): Promise<number> => (await admin.query("select from parked_event")).rowCount ?? 0;
  await waitFor(async () => (await waiting()) === 1, { what: "the key set aside" });
  await publishSteps(["a", "b"], [2, 3]);
  await waitFor(async () => line.done.length === 2 && (await waiting()) === 3, { what: "what is told after it" });
  expect(line.done).toEqual(["b2", "b3"]);
  isJammed = false;
  await waitFor(() => line.done.length === 5);
  expect(line.done.slice(2)).toEqual(["a1", "a2", "a3"]);
});

test("partition: one call at a time, in the order of the stream", async () => {
  const line = record();
  run("partition", line.call);
  await publishSteps(["a", "b", "c"], [1, 2]);
  await waitFor(() => line.done.length === 6);
  expect(line.done).toEqual(["a1", "b1", "c1", "a2", "b2", "c2"]);
  expect(line.most()).toBe(1);
});

test("partition: a failing call holds the stream up while it is tried again, and is dead after the last attempt", async () => {
  const calls: string[] = [];
  run("partition", async ({ key, data }) => {
    calls.push(`${key}${data.step}`);
    if (key === "b") throw new Error("b is jammed");
  });
  await publishSteps(["a", "b", "c"], [1]);
  await waitFor(() => calls.includes("c1"));
  expect(calls).toEqual(["a1", "b1", "b1", "b1", "c1"]);
  const { rows } = await admin.query("select key, state from parked_key");
  expect(rows).toEqual([{ key: "b", state: "dead" }]);
});

test("unordered: calls of one key run at once, and a failing one holds up none of them", async () => {
  const line = record();
  let jams = 2;
  run("unordered", async (event) => {
    if (event.data.step === 1 && jams-- > 0) throw new Error("step 1 is jammed");
    await line.call(event);
  });
  await publishSteps(["a"], [1, 2, 3, 4]);
  await waitFor(() => line.done.length === 4);
  expect(line.done.toSorted()).toEqual(["a1", "a2", "a3", "a4"]);
  expect(line.done.at(-1)).toBe("a1");
  expect(line.most()).toBe(3);
});

test("unordered: a restart repeats none that was settled, whatever its place", async () => {
  const first: number[] = [];
  const stuck = Promise.withResolvers<void>();
  const feeds = run("unordered", async ({ data }) => {
    first.push(data.step);
    if (data.step === 5) await stuck.promise;
  });
  await publishSteps(["a"], [1, 2, 3, 4, 5, 6, 7]);
  const known = "select count(*)::int as settled from inbox where reader = 'beta.call'";
  await waitFor(async () => (await admin.query(known)).rows[0].settled === 6);
  expect(await feeds.drain(50)).toBe(false);
  await admin.query("update reader_cursor set owner = null");

  const again: number[] = [];
  run("unordered", async ({ data }) => void again.push(data.step));
  await waitFor(() => again.length > 0);
  await waitFor(async () => (await admin.query(known)).rows[0].settled === 7);
  expect(again).toEqual([5]);
  stuck.resolve();
});

/** Calls that wait for one another as far as they are run at once; tells the order of their ends. */
function record() {
  const done: string[] = [];
  let now = 0;
  let most = 0;
  return {
    done,
    most: () => most,
    async call({ key, data }: Delivered<typeof moved>): Promise<void> {
      now++;
      most = Math.max(most, now);
      // Several turns of the loop, so that whatever may run beside this call has begun.
      for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate);
      now--;
      done.push(`${key}${data.step}`);
    },
  };
}
