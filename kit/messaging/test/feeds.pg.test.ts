import type { Database } from "@onsale/postgres";
import type pg from "pg";
import { Type } from "typebox";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type Consumer, consumer } from "../src/consumers/consumer.ts";
import { type RunningFeeds, startFeeds } from "../src/consumers/feeds.ts";
import { type Delivered, defineEvent, fact } from "../src/events/event.ts";
import { OutboxLog } from "../src/outbox/outbox-log.ts";
import { publish } from "../src/outbox/publish.ts";
import { type MessagingTelemetry, silentTelemetry } from "../src/telemetry.ts";
import { type TwoServices, twoServices } from "./two-services.ts";

const schema = Type.Object({ id: Type.String(), step: Type.Integer() });
const opened = defineEvent("door.opened.v1", {
  key: "id",
  lanes: { online: true },
  schema,
  sample: { id: "d", step: 1 },
});
const closed = defineEvent("door.closed.v1", {
  key: "id",
  lanes: { online: true },
  schema,
  sample: { id: "d", step: 1 },
});
const ports = { clock: { now: () => "unused" }, ids: { uuid: () => "unused" } };

let services: TwoServices;
let alpha: Database;
let beta: Database;
let admin: pg.Pool;
let running: RunningFeeds[];

beforeEach(async () => {
  services = await twoServices();
  ({ alpha, beta, admin } = services);
  running = [];
});
afterEach(async () => {
  await Promise.all(running.map((feeds) => feeds.drain()));
  await services[Symbol.asyncDispose]();
});

function run(
  consumers: readonly Consumer[],
  telemetry: Partial<MessagingTelemetry> = {},
  leaseMs = 3_000,
): RunningFeeds {
  const feeds = startFeeds({
    service: "beta",
    database: beta,
    consumers,
    ports,
    sourceOf: () => "alpha",
    log: new OutboxLog({ database: beta, pollMs: 20 }),
    leaseMs,
    retry: { attempts: 3, firstDelayMs: 40 },
    telemetry: { ...silentTelemetry, ...telemetry },
  });
  running.push(feeds);
  return feeds;
}

/** Publishes step after step of every key, each step in a transaction of its own; odd steps open, even ones close. */
async function publishSteps(keys: readonly string[], steps: readonly number[]): Promise<void> {
  for (const step of steps) {
    await alpha.transaction((tx) =>
      publish(
        tx,
        keys.map((id) =>
          fact(step % 2 ? opened : closed, { data: { id, step }, sequence: step, cause: { correlationId: "test" } }),
        ),
      ),
    );
  }
}

/** Collects what a handler is given, and lets the test wait for it. */
function collector() {
  const steps: Delivered[] = [];
  return {
    steps,
    add: (events: readonly Delivered[]) => void steps.push(...events),
    stepsOf: (key: string) => steps.filter((event) => event.key === key).map(({ sequence }) => sequence),
    atLeast: (count: number) =>
      expect.poll(() => steps.length, { timeout: 10_000, interval: 5 }).toBeGreaterThanOrEqual(count),
  };
}

const keys = Array.from({ length: 20 }, (_, index) => `door-${index}`);

test("a batch consumer gets every event once and in order per key, across its handlers", async () => {
  const heard = collector();
  run([
    consumer("beta.close", { on: closed, in: "batch", do: async (_tx, events) => heard.add(events) }),
    consumer("beta.open", { on: opened, in: "batch", do: async (_tx, events) => heard.add(events) }),
  ]);
  await publishSteps(keys, [1, 2, 3, 4]);
  await heard.atLeast(80);
  for (const key of keys) expect(heard.stepsOf(key)).toEqual([1, 2, 3, 4]);
});

test("what was there before the consumer started arrives too, in one stream", async () => {
  await publishSteps(keys, [1, 2, 3]);
  const heard = collector();
  run([consumer("beta.hear", { on: [opened, closed], in: "batch", do: async (_tx, events) => heard.add(events) })]);
  await heard.atLeast(60);
  for (const key of keys) expect(heard.stepsOf(key)).toEqual([1, 2, 3]);
});

test("the same sequence of a key delivered again has no second effect", async () => {
  const heard = collector();
  run([consumer("beta.hear", { on: [opened, closed], in: "batch", do: async (_tx, events) => heard.add(events) })]);
  await publishSteps(["door"], [1, 1, 2, 1, 2, 3]);
  await heard.atLeast(3);
  await running[0]?.passed("alpha", await now(), 5_000);
  expect(heard.stepsOf("door")).toEqual([1, 2, 3]);
});

test("the cursor and the effects commit together: a failed batch leaves neither", async () => {
  let failures = 2;
  const heard = collector();
  run([
    consumer("beta.hear", {
      on: [opened, closed],
      in: "batch",
      do: async (tx, events) => {
        heard.add(events);
        await publish(
          tx,
          events.map((event) => fact(opened, { data: { id: event.key, step: 1 }, sequence: 1, cause: event.cause })),
        );
        if (failures-- > 0) throw new Error("the machine has hiccups");
      },
    }),
  ]);
  await publishSteps(["door"], [1]);
  await expect
    .poll(async () => (await admin.query("select count(*)::int as told from outbox_online")).rows[0].told)
    .toBe(1);
  expect(heard.steps.length).toBeGreaterThan(1);
});

test("only the failing key waits; after its last attempt it is dead, and its later events stay behind it", async () => {
  const heard = collector();
  const dead: string[] = [];
  run(
    [
      consumer("beta.hear", {
        on: [opened, closed],
        in: "batch",
        do: async (_tx, events) => {
          if (events.some(({ key }) => key === "door-3")) throw new Error("door-3 is jammed");
          heard.add(events);
        },
      }),
    ],
    { keyDead: ({ error }) => dead.push(String(error)) },
  );
  await publishSteps(keys, [1, 2, 3]);
  await heard.atLeast(57);
  await expect.poll(() => dead).toEqual(["Error: door-3 is jammed"]);
  for (const key of keys) expect(heard.stepsOf(key)).toEqual(key === "door-3" ? [] : [1, 2, 3]);
  const { rows } = await admin.query(`
    select key, sequence::int as sequence, 'dead' as state from dead_letter
    union all select key, sequence::int, 'waiting' from parked_event order by sequence`);
  expect(rows).toEqual(
    [1, 2, 3].map((sequence) => ({ key: "door-3", sequence, state: sequence === 1 ? "dead" : "waiting" })),
  );
});

test("a parked key that recovers is applied in its order, before what comes later", async () => {
  let jammed = true;
  const heard = collector();
  const recovered: string[] = [];
  run(
    [
      consumer("beta.hear", {
        on: [opened, closed],
        in: "batch",
        do: async (_tx, events) => {
          if (jammed && events.some(({ key }) => key === "door-3")) throw new Error("door-3 is jammed");
          heard.add(events);
        },
      }),
    ],
    {
      keyParked: () => {
        jammed = false;
      },
      keyRecovered: ({ reader }) => recovered.push(reader),
    },
  );
  await publishSteps(keys, [1, 2, 3]);
  await heard.atLeast(60);
  await expect.poll(() => recovered).toEqual(["beta"]);
  await publishSteps(keys, [4]);
  await heard.atLeast(80);
  for (const key of keys) expect(heard.stepsOf(key)).toEqual([1, 2, 3, 4]);
  expect((await admin.query("select count(*)::int as parked from parked_key")).rows).toEqual([{ parked: 0 }]);
});

test("an event that does not fit its schema is dead at once, without a second attempt", async () => {
  let attempts = 0;
  const dead: string[] = [];
  run(
    [
      consumer("beta.hear", {
        on: opened,
        in: "batch",
        do: async () => {
          attempts++;
          throw new Error("can't read it");
        },
      }),
    ],
    { keyDead: ({ type }) => dead.push(type) },
  );
  await admin.query(`insert into alpha.outbox_online (id, aggregatetype, aggregateid, type, payload, sequence, headers)
    values (gen_random_uuid(), 'door', 'door', 'door.opened.v1', '{"id": 7}', 1, '{"correlationid":"test"}')`);
  await expect.poll(() => dead).toEqual(["door.opened.v1"]);
  expect(attempts).toBe(1);
  expect((await admin.query("select state from parked_key")).rows).toEqual([{ state: "dead" }]);
});

test("an each consumer calls in order within a key and at once across keys, and settles every outcome", async () => {
  const settled = collector();
  let underWay = 0;
  let mostUnderWay = 0;
  run([
    consumer("beta.call", {
      on: [opened, closed],
      in: "each",
      concurrency: 8,
      prepare: async (_tx, events) => events.map((event) => ({ eventId: event.id, work: event })),
      call: async () => {
        mostUnderWay = Math.max(mostUnderWay, ++underWay);
        await new Promise((resolve) => setImmediate(resolve));
        underWay--;
      },
      settle: async (_tx, outcomes) => settled.add(outcomes.map(({ event }) => event)),
    }),
  ]);
  await publishSteps(keys, [1, 2, 3, 4]);
  await settled.atLeast(80);
  for (const key of keys) expect(settled.stepsOf(key)).toEqual([1, 2, 3, 4]);
  expect(mostUnderWay).toBeGreaterThan(1);
  expect(mostUnderWay).toBeLessThanOrEqual(8);
});

test("an each consumer's failing call parks its key alone; it recovers in order", async () => {
  const settled = collector();
  let jammed = 2;
  const recovered: string[] = [];
  run(
    [
      consumer("beta.call", {
        on: [opened, closed],
        in: "each",
        concurrency: 8,
        prepare: async (_tx, events) => events.map((event) => ({ eventId: event.id, work: event })),
        call: async (event: Delivered) => {
          if (event.key === "door-3" && jammed-- > 0) throw new Error("door-3 is jammed");
        },
        settle: async (_tx, outcomes) => settled.add(outcomes.map(({ event }) => event)),
      }),
    ],
    { keyRecovered: ({ reader }) => recovered.push(reader) },
  );
  await publishSteps(keys, [1, 2, 3]);
  await settled.atLeast(60);
  await expect.poll(() => recovered.length).toBeGreaterThan(0);
  for (const key of keys) expect(settled.stepsOf(key)).toEqual([1, 2, 3]);
});

test("an event that comes while its parked key is being redriven waits behind it and is applied after it", async () => {
  const settled = collector();
  const redriving = Promise.withResolvers<void>();
  const gate = Promise.withResolvers<void>();
  let attempts = 0;
  run([
    consumer("beta.call", {
      on: [opened, closed],
      in: "each",
      concurrency: 8,
      prepare: async (_tx, events) => events.map((event) => ({ eventId: event.id, work: event })),
      call: async (event: Delivered) => {
        if (event.sequence > 1 || ++attempts > 2) return;
        if (attempts === 1) throw new Error("jammed once");
        redriving.resolve();
        await gate.promise;
      },
      settle: async (_tx, outcomes) => settled.add(outcomes.map(({ event }) => event)),
    }),
  ]);
  await publishSteps(["door"], [1]);
  await redriving.promise;
  await publishSteps(["door"], [2]);
  await expect
    .poll(async () => (await admin.query("select count(*)::int as waiting from parked_event")).rows[0].waiting)
    .toBe(2);
  gate.resolve();
  await settled.atLeast(2);
  expect(settled.stepsOf("door")).toEqual([1, 2]);
  await expect
    .poll(async () => (await admin.query("select count(*)::int as parked from parked_key")).rows[0].parked)
    .toBe(0);
});

test("what waits behind its key is not given again, though its reader crashed before it settled that", async () => {
  const called: number[] = [];
  const heard = collector();
  run([
    consumer("beta.call", {
      on: [opened, closed],
      in: "each",
      concurrency: 8,
      prepare: async (_tx, events) => events.map((event) => ({ eventId: event.id, work: event })),
      call: async (event: Delivered) => {
        called.push(event.sequence);
        if (event.sequence === 1) throw new Error("jammed for good");
      },
      settle: async (_tx, outcomes) => heard.add(outcomes.map(({ event }) => event)),
    }),
  ]);
  const waiting = async () => (await admin.query("select key, sequence::int as sequence from parked_event")).rows;
  await publishSteps(["door"], [1]);
  await expect.poll(async () => (await admin.query("select from parked_key where state = 'dead'")).rowCount).toBe(1);

  // From here on nothing can be settled, as if every reader died right before.
  await admin.query(`create function refuse() returns trigger language plpgsql as
    $$ begin raise exception 'not now' using errcode = 'cannot_connect_now'; end $$;
    create trigger refuse before update of high on reader_cursor for each row execute function refuse()`);
  await publishSteps(["door"], [2]);
  await expect.poll(waiting).toEqual([{ key: "door", sequence: 2 }]);

  // Another process applied what waited, and freed the key. The cursor first, as readers lock it: the other way round the
  // two would wait for each other.
  await admin.query("drop trigger refuse on reader_cursor; delete from parked_event; delete from parked_key");
  await publishSteps(["other"], [2]);
  await heard.atLeast(1);
  expect(heard.steps.map(({ key, sequence }) => `${key} ${sequence}`)).toEqual(["other 2"]);
});

test("after a crash an each consumer repeats only what was not settled", async () => {
  const stuck = Promise.withResolvers<void>();
  const called: string[] = [];
  const first = collector();
  const calling = (hold: boolean, heard: ReturnType<typeof collector>) =>
    consumer("beta.call", {
      on: [opened, closed],
      in: "each",
      concurrency: 8,
      prepare: async (_tx, events) => events.map((event) => ({ eventId: event.id, work: event })),
      call: async (event: Delivered) => {
        called.push(event.key);
        if (hold && event.key === "door-0") await stuck.promise;
      },
      settle: async (_tx, outcomes) => heard.add(outcomes.map(({ event }) => event)),
    });
  run([calling(true, first)], {}, 300);
  await publishSteps(keys, [1]);
  await first.atLeast(19);

  // A second process takes over once the first is silent; here the lease is taken away from it, as after SIGSTOP.
  await admin.query("update reader_cursor set lease_until = '-infinity', owner = 'frozen'");
  const second = collector();
  called.length = 0;
  run([calling(false, second)], {}, 300);
  await second.atLeast(1);
  expect(called).toEqual(["door-0"]);
  stuck.resolve();
});

test("an owner that was taken over can't commit: its effects and its cursor are rolled back", async () => {
  const release = Promise.withResolvers<void>();
  const entered = Promise.withResolvers<void>();
  let fenced = 0;
  let first = true;
  run(
    [
      consumer("beta.hear", {
        on: opened,
        in: "batch",
        do: async (tx, events) => {
          if (first) {
            first = false;
            entered.resolve();
            await release.promise;
          }
          await publish(
            tx,
            events.map((event) =>
              fact(closed, {
                data: { id: event.key, step: event.sequence },
                sequence: event.sequence,
                cause: event.cause,
              }),
            ),
          );
        },
      }),
    ],
    { fenced: () => fenced++ },
  );
  await publishSteps(["door"], [1]);
  await entered.promise;
  release.resolve();
  await expect
    .poll(async () => (await admin.query("select count(*)::int as told from outbox_online")).rows[0].told)
    .toBe(1);
  // Somebody counts the epoch up: the next batch of the old owner must end at its first statement.
  await admin.query("update reader_cursor set epoch = epoch + 1");
  await publishSteps(["door-2"], [1]);
  await expect.poll(() => fenced).toBeGreaterThan(0);
  await expect
    .poll(async () => (await admin.query("select count(*)::int as told from outbox_online")).rows[0].told)
    .toBe(2);
});

test("two processes: one owns the feed, and the other goes on where it stopped", async () => {
  const heard = collector();
  const hear = consumer("beta.hear", {
    on: [opened, closed],
    in: "batch",
    do: async (_tx, events) => heard.add(events),
  });
  const one = run([hear], {}, 300);
  run([hear], {}, 300);
  await publishSteps(keys, [1]);
  await heard.atLeast(20);
  await one.drain();
  await publishSteps(keys, [2]);
  await heard.atLeast(40);
  for (const key of keys) expect(heard.stepsOf(key)).toEqual([1, 2]);
});

test("`passed` waits until what was committed has been applied, and says so when it takes too long", async () => {
  const heard = collector();
  const gate = Promise.withResolvers<void>();
  run([
    consumer("beta.hear", {
      on: opened,
      in: "batch",
      do: async (_tx, events) => {
        await gate.promise;
        heard.add(events);
      },
    }),
  ]);
  await publishSteps(["door"], [1]);
  const moment = await now();
  expect(await running[0]?.passed("alpha", moment, 50)).toBe(false);
  gate.resolve();
  expect(await running[0]?.passed("alpha", moment, 5_000)).toBe(true);
  expect(heard.stepsOf("door")).toEqual([1]);
});

test("publish refuses what does not fit, and the transaction leaves nothing", async () => {
  const cause = { correlationId: "test" };
  const refused = [
    [
      fact(opened, { data: { id: "door", step: "one" as unknown as number }, sequence: 1, cause }),
      /does not fit its schema/,
    ],
    [fact(opened, { data: { id: "", step: 1 }, sequence: 1, cause }), /has no key/],
    [fact(opened, { data: { id: "door", step: 1 }, sequence: 0, cause }), /has the sequence 0/],
    [fact(opened, { data: { id: "door", step: 1 }, sequence: 1, cause, lane: "bulk" }), /may not use the bulk lane/],
    [
      fact(opened, { data: { id: "door", step: 1, extra: true } as never, sequence: 1, cause }),
      /does not fit its schema/,
    ],
    [fact(opened, { data: { id: "d".repeat(1_025), step: 1 }, sequence: 1, cause }), /a key of more than 1024 bytes/],
  ] as const;
  for (const [event, why] of refused) {
    await expect(alpha.transaction((tx) => publish(tx, [event]))).rejects.toThrow(why);
  }
  expect((await admin.query("select count(*)::int as told from alpha.outbox_online")).rows).toEqual([{ told: 0 }]);
});

/** The database's time, later than everything committed so far. */
async function now(): Promise<string> {
  const { rows } = await admin.query("select clock_timestamp() as now");
  return rows[0].now.toISOString();
}
