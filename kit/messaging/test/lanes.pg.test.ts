import type { Database } from "@onsale/postgres";
import { type TestDatabase, waitFor } from "@onsale/testing";
import pg from "pg";
import { Type } from "typebox";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type Consumer, consumer } from "../src/consumers/consumer.ts";
import { type FeedsOptions, type RunningFeeds, startFeeds } from "../src/consumers/feeds.ts";
import { type Delivered, defineEvent, fact } from "../src/events/event.ts";
import type { Log, LogReader, ReadEvent } from "../src/log.ts";
import { publishInBulk } from "../src/outbox/bulk.ts";
import { OutboxLog } from "../src/outbox/outbox-log.ts";
import { publish } from "../src/outbox/publish.ts";
import { slotOf } from "../src/slot.ts";
import { silentTelemetry } from "../src/telemetry.ts";
import { type TwoServices, twoServices } from "./two-services.ts";

const opened = defineEvent("door.opened.v1", {
  key: "id",
  lanes: { online: true, bulk: true },
  schema: Type.Object({ id: Type.String() }),
  sample: { id: "d" },
});
const opening = (id: string) =>
  fact(opened, { data: { id }, sequence: 1, cause: { correlationId: "test" }, lane: "bulk" });
const ports = { clock: { now: () => "unused" }, ids: { uuid: () => "unused" } };

let services: TwoServices;
let home: TestDatabase;
let alpha: Database;
let beta: Database;
let running: RunningFeeds[];

beforeEach(async () => {
  services = await twoServices();
  ({ home, alpha, beta } = services);
  running = [];
});
afterEach(async () => {
  await Promise.all(running.map((feeds) => feeds.drain(100)));
  await services[Symbol.asyncDispose]();
});

function run(consumers: readonly Consumer[], options: Partial<FeedsOptions<typeof ports>> = {}): RunningFeeds {
  const feeds = startFeeds({
    ...{ service: "beta", database: beta, consumers, ports, sourceOf: () => "alpha" },
    ...options,
  });
  running.push(feeds);
  return feeds;
}

const hear = (heard: Delivered[]) =>
  consumer("beta.hear", { on: opened, in: "batch", do: async (_tx, events) => void heard.push(...events) });

test("bulk work is cut into transactions of a thousand events", async () => {
  const doors = Array.from({ length: 2_500 }, (_, index) => `door-${index}`);
  const sizes: number[] = [];
  const done = await publishInBulk(alpha, doors, async (_tx, part) => {
    sizes.push(part.length);
    return part.map(opening);
  });
  expect({ sizes, done }).toEqual({ sizes: [1_000, 1_000, 500], done: { transactions: 3, events: 2_500 } });
  const heard: Delivered[] = [];
  run([hear(heard)]);
  await waitFor(() => heard.length === 2_500);
  expect(new Set(heard.map(({ lane }) => lane))).toEqual(new Set(["bulk"]));
});

test("beside online events what was read of the bulk lane is applied in smaller parts, each event once and in order, also across a stop", async () => {
  const doors = Array.from({ length: 2_500 }, (_, index) => `door-${index}`);
  const heard: string[] = [];
  const parts: number[] = [];
  let online = 0;
  const hearing = consumer("beta.hear", {
    on: opened,
    in: "batch",
    async do(_tx, events) {
      const bulk = events.filter(({ lane }) => lane === "bulk");
      online += events.length - bulk.length;
      if (bulk.length > 0) parts.push(bulk.length);
      heard.push(...bulk.map(({ key }) => key));
    },
  });
  const first = run([hearing]);
  const walkIn = async (): Promise<void> => {
    for (let door = 0; heard.length < doors.length; door++)
      await alpha.transaction((tx) => publish(tx, [{ ...opening(`walk-in-${door}`), lane: "online" }]));
  };
  const walkingIn = walkIn();
  await waitFor(() => online > 10);
  const publishing = publishInBulk(alpha, doors, async (_tx, part) => part.map(opening));
  await waitFor(() => parts.length > 0);
  await first.drain();
  run([hearing]);
  await Promise.all([publishing, walkingIn]);
  expect(heard).toEqual(doors);
  expect(parts.length).toBeGreaterThan(3);
});

test("a long batch is parsed in parts, and whatever else is ready in the process goes between them", async () => {
  const doors = Array.from({ length: 100 }, (_, index) => `door-${index}`);
  await publishInBulk(alpha, doors, async (_tx, part) => part.map(opening));
  let turns = 0;
  let waiting: NodeJS.Immediate | undefined;
  const countTurns = (): void => {
    turns++;
    waiting = setImmediate(countTurns);
  };
  const turnsBefore = new Map<string, number>();
  const heard: Delivered[] = [];
  const log = new LaboriousLog(new OutboxLog({ database: beta }), ({ key }) => {
    if (waiting === undefined) countTurns();
    if (!turnsBefore.has(key)) turnsBefore.set(key, turns);
  });
  run([hear(heard)], { log });
  await waitFor(() => heard.length === doors.length);
  clearImmediate(waiting);
  expect([...turnsBefore.keys()]).toEqual(doors);
  // Ten milliseconds of work, of which half a millisecond is done at a time.
  expect(turnsBefore.get("door-99")).toBeGreaterThan(10);
});

test("a transaction with more bulk events than a reader should meet at once is refused", async () => {
  const doors = Array.from({ length: 600 }, (_, index) => `door-${index}`);
  await expect(
    alpha.transaction(async (tx) => {
      await publish(tx, doors.map(opening));
      await publish(tx, doors.map(opening));
    }),
  ).rejects.toThrow("1200 events of the bulk lane in one transaction; 1000 are allowed");
});

test("slots divide a lane by key: every event once, and a key always in its own stream", async () => {
  const doors = Array.from({ length: 200 }, (_, index) => `door-${index}`);
  const heard: Delivered[] = [];
  const streams: { slot: number; events: number }[] = [];
  run([hear(heard)], {
    log: new OutboxLog({ database: beta, slots: 4 }),
    telemetry: { ...silentTelemetry, batchApplied: ({ slot, events }) => void streams.push({ slot, events }) },
  });
  await alpha.transaction((tx) => publish(tx, doors.map(opening)));
  await waitFor(() => streams.reduce((sum, { events }) => sum + events, 0) === 200);
  expect(heard.map(({ key }) => key).toSorted()).toEqual(doors.toSorted());
  const expected = [0, 1, 2, 3].map((slot) => doors.filter((door) => slotOf(door, 4) === slot).length);
  for (const [slot, events] of expected.entries())
    expect(streams.filter((stream) => stream.slot === slot).reduce((sum, stream) => sum + stream.events, 0)).toBe(
      events,
    );
});

test("one stalled slot delays only its own keys", async () => {
  const doors = Array.from({ length: 40 }, (_, index) => `door-${index}`);
  const heard: string[] = [];
  const stalled = Promise.withResolvers<void>();
  const slow = consumer("beta.hear", {
    on: opened,
    in: "batch",
    do: async (_tx, events) => {
      if (events.some(({ key }) => slotOf(key, 4) === 2)) await stalled.promise;
      heard.push(...events.map(({ key }) => key));
    },
  });
  run([slow], { log: new OutboxLog({ database: beta, slots: 4 }) });
  await alpha.transaction((tx) => publish(tx, doors.map(opening)));
  const others = doors.filter((door) => slotOf(door, 4) !== 2);
  await waitFor(() => heard.length === others.length);
  expect(heard.toSorted()).toEqual(others.toSorted());
  stalled.resolve();
  await waitFor(() => heard.length === doors.length);
});

test("a lane that was begun in one number of slots is not read on in another", async () => {
  const heard: Delivered[] = [];
  const first = run([hear(heard)], { log: new OutboxLog({ database: beta, slots: 2 }) });
  await alpha.transaction((tx) => publish(tx, [opening("door-1")]));
  await waitFor(() => heard.length === 1);
  await first.drain();
  const refusals: unknown[] = [];
  run([hear(heard)], {
    log: new OutboxLog({ database: beta, slots: 4 }),
    telemetry: { ...silentTelemetry, interrupted: ({ error }) => void refusals.push(error) },
  });
  await waitFor(() => refusals.length > 0);
  expect(String(refusals[0])).toContain("began to read alpha/online in 2 slots and can't go on in 4");
});

test("the database and the program agree on the slot of a key", async () => {
  const keys = ["", "door-1", "0192f3c4-7b1a-7d3e-9a55-3f2b1c0d9e8f", "한정판", "a".repeat(300)];
  const admin = new pg.Client({ connectionString: home.adminUrl });
  await admin.connect();
  const { rows } = await admin.query("select beta.slot_of(key, 16) as slot from unnest($1::text[]) as key", [keys]);
  await admin.end();
  expect(rows.map(({ slot }) => slot)).toEqual(keys.map((key) => slotOf(key, 16)));
});

test("what is stuck when the feeds are drained is left to its lease, within the bound", async () => {
  const entered = Promise.withResolvers<void>();
  const told = Promise.withResolvers<void>();
  const feeds = run([
    consumer("beta.call", {
      on: opened,
      in: "each",
      concurrency: 1,
      prepare: async (_tx, events) => events.map((event) => ({ eventId: event.id, work: event.key })),
      call: async (_work, _ports, signal) => {
        entered.resolve();
        await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
        told.resolve();
      },
      settle: async () => undefined,
    }),
  ]);
  await alpha.transaction((tx) => publish(tx, [opening("door-1")]));
  await entered.promise;
  expect(await feeds.drain(50)).toBe(false);
  await told.promise;
});

/** To parse one of its events takes a tenth of a millisecond. */
class LaboriousLog implements Log {
  readonly cursors: Log["cursors"];
  readonly #log: Log;
  readonly #parsed: (event: Delivered) => void;

  constructor(log: Log, parsed: (event: Delivered) => void) {
    this.cursors = log.cursors;
    this.#log = log;
    this.#parsed = parsed;
  }

  slots(source: string): number {
    return this.#log.slots(source);
  }

  open(...stream: Parameters<Log["open"]>): LogReader {
    const reader = this.#log.open(...stream);
    return {
      read: async (cursor, limit) => {
        const chunk = await reader.read(cursor, limit);
        return { ...chunk, events: chunk.events.map((read) => this.#laborious(read)) };
      },
      wait: (signal) => reader.wait(signal),
      close: () => reader.close(),
    };
  }

  #laborious(read: ReadEvent): ReadEvent {
    const parse = (): Delivered => {
      const end = performance.now() + 0.1;
      while (performance.now() < end) Math.random();
      this.#parsed(read.event);
      return read.event;
    };
    return {
      get event() {
        return parse();
      },
      get after() {
        return read.after;
      },
    };
  }
}
