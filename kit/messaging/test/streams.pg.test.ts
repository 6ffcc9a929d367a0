/** What operators see of readers and outboxes, and how they hold, resend and take back. */

import { quickestOf, waitFor } from "@onsale/testing";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type Consumer, consumer } from "../src/consumers/consumer.ts";
import { type Delivered, fact } from "../src/events/event.ts";
import { listLetters } from "../src/operations/dead-letters.ts";
import { latestOperations } from "../src/operations/operation-log.ts";
import { alarmOfSlot, alarmsOf, outboxLags } from "../src/operations/outbox-lag.ts";
import { resendEvent } from "../src/operations/resend.ts";
import { type Reset, resetReader } from "../src/operations/reset.ts";
import { type Retirement, retireReader } from "../src/operations/retire.ts";
import {
  pauseStreams,
  readerLags,
  resumeStreams,
  type StreamFilter,
  type StreamLag,
} from "../src/operations/streams.ts";
import { eventById, eventsAfter, latestEvents } from "../src/operations/told-events.ts";
import { publish } from "../src/outbox/publish.ts";
import { type Doors, heard, moved, openDoors, painted, readers } from "./doors.ts";

const by = { operator: "olga", reason: "the lift is being mended" };

let doors: Doors;
let applied: ReturnType<typeof heard>;
let jammed: (event: Delivered) => boolean;
let hear: Consumer;

beforeEach(async () => {
  doors = await openDoors();
  applied = heard();
  jammed = () => false;
  hear = consumer("beta.hear", {
    on: [moved, painted],
    in: "batch",
    do: async (_tx, events) => {
      if (events.some(jammed)) throw new Error("jammed");
      applied.add(events);
    },
  });
});
afterEach(() => doors[Symbol.asyncDispose]());

const lag = async () => {
  const [beta] = await readerLags(doors.beta, readers([hear]));
  if (!beta) throw new Error("The reader is missing.");
  return beta;
};
const online = async (): Promise<StreamLag> => {
  const stream = (await lag()).streams.find(({ lane }) => lane === "online");
  if (!stream) throw new Error("The stream is missing.");
  return stream;
};
const pause = (filter: Partial<StreamFilter> = {}) =>
  doors.beta.transaction((tx) => pauseStreams(tx, { reader: "beta", ...filter, ...by }));
const resume = (filter: Partial<StreamFilter> = {}) =>
  doors.beta.transaction((tx) => resumeStreams(tx, { reader: "beta", ...filter, ...by }));
/** What is paused are the streams that there are. */
const untilBegun = () => waitFor(async () => (await lag()).streams.length === 2, { what: "both streams" });
const untilTaken = () => waitFor(async () => (await online()).owner !== null, { what: "the lease taken again" });
const untilFree = () => waitFor(async () => (await online()).owner === null, { what: "the lease given back" });

describe("pausing", () => {
  test("within a second a paused stream is let go, its events wait, and resumed it goes on where it stopped", async () => {
    doors.run([hear]);
    await untilBegun();
    await doors.tell(["door"], [1]);
    await applied.atLeast(1);
    const pauseAndWait = async () => {
      expect(await pause()).toMatchObject({ kind: "paused", streams: [{ lane: "bulk" }, { lane: "online" }] });
      await untilFree();
    };
    expect(await quickestOf(3, pauseAndWait, () => resume().then(untilTaken))).toBeLessThan(1_000);
    await pauseAndWait();
    await doors.tell(["door"], [2, 3]);
    expect(await online()).toMatchObject({ pausedBy: "olga", pauseReason: by.reason, behind: 2, owner: null });
    expect(applied.stepsOf("door")).toEqual([1]);
    expect(await resume()).toMatchObject({ kind: "resumed" });
    await applied.atLeast(3);
    expect(applied.stepsOf("door")).toEqual([1, 2, 3]);
    expect(await latestOperations(doors.beta, { limit: 2 })).toMatchObject([
      { operation: "streams.resume", target: "beta" },
      { operation: "streams.pause", target: "beta", reason: by.reason },
    ]);
  });

  test("one lane is paused and the other goes on; a paused stream outlives its processes", async () => {
    const first = doors.run([hear]);
    await doors.tell(["sign"], [1], { event: painted });
    await applied.atLeast(1);
    await pause({ lane: "online" });
    await untilFree();
    await first.drain();
    doors.run([hear]);
    await doors.tell(["sign"], [2], { event: painted });
    await doors.tell(["poster"], [1], { event: painted, lane: "bulk" });
    await applied.atLeast(2);
    expect(applied.events.map(({ key }) => key)).toEqual(["sign", "poster"]);
  });

  test("a parked key is not tried while its stream is paused", async () => {
    jammed = () => true;
    doors.run([hear], {}, { attempts: 1_000 });
    await untilBegun();
    await doors.tell(["door"], [1]);
    await waitFor(async () => (await lag()).parkedKeys === 1);
    await pause();
    await waitFor(async () => (await lag()).streams.every(({ owner }) => owner === null));
    const attempts = "select attempts from parked_key";
    const before = (await doors.admin.query(attempts)).rows;
    await doors.tell(["next"], [1]);
    expect((await doors.admin.query(attempts)).rows).toEqual(before);
    jammed = () => false;
    await resume();
    await applied.atLeast(2);
  });

  test("an attempt that fails while its stream is paused does not keep the stream", async () => {
    const isPaused = Promise.withResolvers<void>();
    let attempts = 0;
    const failing = consumer("beta.hear", {
      on: [moved],
      in: "batch",
      do: async () => {
        if (++attempts > 1) await isPaused.promise;
        throw new Error("jammed");
      },
    });
    doors.run([failing], {}, { attempts: 1_000 });
    await doors.tell(["door"], [1]);
    await waitFor(() => attempts === 2, { what: "an attempt under way" });
    const asked = performance.now();
    await pause();
    await waitFor(() => performance.now() > asked + 1_000, { what: "the second in which an operator's word is heard" });
    isPaused.resolve();
    await untilFree();
    const { rows } = await doors.admin.query("select attempts from parked_key");
    expect(rows).toEqual([{ attempts: 1 }]);
  });

  test.each([{ reader: "gamma" }, { source: "gamma" }, { slot: 7 }])("%j is not there: refused", async (filter) => {
    doors.run([hear]);
    await untilBegun();
    expect(await pause(filter)).toMatchObject({ kind: "refused", code: "STREAM_NOT_FOUND" });
    expect(await resume(filter)).toMatchObject({ kind: "refused", code: "STREAM_NOT_FOUND" });
    expect(await latestOperations(doors.beta, { limit: 1 })).toEqual([]);
  });
});

describe("lag", () => {
  test("says how many events of its types are unread and how old the oldest is, what is parked, dead and waits", async () => {
    jammed = ({ key }) => key === "door";
    const feeds = doors.run([hear], {}, { attempts: 1 });
    await doors.tell(["door", "next"], [1, 2]);
    await doors.untilDead(1);
    await applied.atLeast(2);
    await waitFor(async () => (await lag()).waitingEvents === 1);
    expect(await lag()).toMatchObject({ parkedKeys: 1, deadKeys: 1, deadLetters: 1, kind: "batch" });
    expect(await online()).toMatchObject({ isOwned: true, owner: expect.stringContaining("beta"), slots: 1 });
    await feeds.drain();
    await doors.tell(["next"], [3, 4, 5]);
    const behind = await online();
    expect(behind).toMatchObject({ behind: 3, isBehindMore: false, owner: null, isOwned: false });
    expect(behind.oldestUnreadAgeS).toBeGreaterThanOrEqual(0);
    expect(behind.watermark).not.toBeNull();
  });

  test("a reader that never ran is listed with no stream, rather than with none behind", async () => {
    expect(await lag()).toMatchObject({ reader: "beta", consumers: ["beta.hear"], streams: [] });
  });
});

describe("an outbox", () => {
  test("tells its head, its partitions and how far each reader says it is", async () => {
    doors.run([hear]);
    await doors.tell(["door"], [1, 2, 3]);
    await applied.atLeast(3);
    const lags = await waitFor(async () => {
      const told = await outboxLags(doors.alpha);
      return told.every(({ readers }) => readers.length === 1) && told;
    });
    expect(lags).toMatchObject([
      {
        lane: "online",
        head: 3,
        partitions: { ready: 7, sealed: 0, retired: 0 },
        readers: [{ reader: "beta" }],
        alarms: [],
      },
      { lane: "bulk", head: 0, headAt: null, readers: [{ positionsBehind: 0 }], alarms: [] },
    ]);
  });

  test("alarms when a slot has lost its log, or keeps half of what it may, or more than much where it may keep all", () => {
    const slot = { slot: "s", isRead: true, isLost: false, retainedBytes: 2 ** 31, boundBytes: 2 ** 32 };
    expect(alarmOfSlot({ ...slot, retainedBytes: 2 ** 31 - 1 })).toEqual([]);
    expect(alarmOfSlot(slot)).toEqual([
      "The slot s keeps 2048 MB of log, and at 4096 MB it is lost; its reader is behind.",
    ]);
    expect(alarmOfSlot({ ...slot, isRead: false, retainedBytes: 2 ** 30, boundBytes: null })).toEqual([
      "The slot s keeps 1024 MB of log, and there is no bound but the disk; nobody reads it: retire its reader if it is gone for good, or select pg_drop_replication_slot('s') if it reads the table now.",
    ]);
    expect(alarmOfSlot({ ...slot, boundBytes: null, retainedBytes: 2 ** 30 - 1 })).toEqual([]);
    expect(alarmOfSlot({ ...slot, isLost: true, retainedBytes: null })).toEqual([
      "The slot s has lost its log; its reader goes on from the table.",
    ]);
  });

  test("alarms when few partitions lie ready, and when a reader is away", () => {
    const silent = { reader: "beta", reportAgeS: 301, positionsBehind: 12 };
    expect(alarmsOf("online", { ready: 4 }, [{ ...silent, reportAgeS: 300 }])).toEqual([]);
    expect(alarmsOf("bulk", { ready: 3 }, [silent])).toEqual([
      "Only 3 partitions of the bulk lane lie ready: without one, nothing can be published.",
      "beta has not read the bulk lane for 301 s and holds back 12 positions.",
    ]);
  });
});

describe("what was told", () => {
  test("the latest come first, filtered; followed, nothing that commits later is missed, however late", async () => {
    await doors.tell(["door", "next"], [1, 2]);
    await doors.tell(["sign"], [1], { event: painted, lane: "bulk" });
    const latest = await latestEvents(doors.beta, "alpha", { filter: {}, limit: 3 });
    expect(latest.events.map(({ key, sequence }) => [key, sequence])).toEqual([
      ["door", 2],
      ["next", 2],
      ["sign", 1],
    ]);
    const ofDoor = await latestEvents(doors.beta, "alpha", { filter: { key: "door", type: moved.type }, limit: 9 });
    expect(ofDoor.events.map(({ sequence }) => sequence)).toEqual([1, 2]);

    // A position is taken before the cursor is, and committed behind it.
    const writer = doors.home.open("alpha");
    const committed = Promise.withResolvers<void>();
    const inserted = Promise.withResolvers<void>();
    const late = writer.transaction(async (tx) => {
      const cause = { correlationId: "test" };
      await publish(tx, [fact(moved, { data: { id: "late", step: 1 }, sequence: 1, cause })]);
      inserted.resolve();
      await committed.promise;
    });
    await inserted.promise;
    await doors.tell(["door"], [3]);
    const { after } = await latestEvents(doors.beta, "alpha", { filter: {}, limit: 1 });
    committed.resolve();
    await late;
    await doors.tell(["door"], [4]);
    const next = await eventsAfter(doors.beta, "alpha", { filter: {}, after, limit: 10 });
    expect(next.events.map(({ key, sequence }) => [key, sequence])).toEqual([
      ["late", 1],
      ["door", 4],
    ]);
    const rest = await eventsAfter(doors.beta, "alpha", { filter: {}, after: next.after, limit: 10 });
    expect(rest.events).toEqual([]);
  });

  test("one is found by its id, whole, or not at all", async () => {
    await doors.tell(["door"], [1, 2]);
    const { events } = await latestEvents(doors.beta, "alpha", { filter: {}, limit: 1 });
    const [event] = events;
    expect(await eventById(doors.beta, "alpha", event?.id ?? "")).toEqual(event);
    expect(await eventById(doors.beta, "alpha", "00000000-0000-4000-8000-000000000000")).toBeUndefined();
  });
});

describe("sending again", () => {
  const [reader] = readers([consumer("beta.hear", { on: [moved], in: "batch", do: async () => undefined })]);
  const resend = (event: Delivered | undefined, wish: { mode?: "reprocess"; evenThoughApplied?: boolean } = {}) => {
    if (!event || !reader) throw new Error("There is nothing to send.");
    const whole = { event, reader, mode: "redeliver", evenThoughApplied: true, ...by, ...wish } as const;
    return doors.beta.transaction((tx) => resendEvent(tx, whole));
  };
  const told = async (key: string): Promise<Delivered | undefined> =>
    (await latestEvents(doors.alpha, "alpha", { filter: { key }, limit: 1 })).events[0];

  test("an event that was applied takes effect once more, when that is said to be meant; nothing else waits for it", async () => {
    doors.run([hear]);
    await doors.tell(["door"], [1]);
    await applied.atLeast(1);
    const event = await told("door");
    expect(await resend(event, { evenThoughApplied: false })).toMatchObject({ code: "CONFIRMATION_NEEDED" });
    expect(await resend(event)).toEqual({ kind: "resent", eventId: event?.id, blocked: false });
    await applied.atLeast(2);
    const replay = await resend(event, { mode: "reprocess" });
    await applied.atLeast(3);
    expect(applied.events.map(({ sequence }) => sequence)).toEqual([1, 1, 1]);
    expect(applied.events.map(({ id }) => id)).toEqual([
      event?.id,
      event?.id,
      replay.kind === "resent" && replay.eventId,
    ]);
    expect(applied.events[2]).toMatchObject({ replayOf: event?.id });
    await doors.tell(["door"], [2]);
    await applied.atLeast(4);
    expect((await latestOperations(doors.beta, { limit: 5 })).map(({ operation }) => operation)).toEqual([
      "event.reprocess",
      "event.redeliver",
    ]);
  });

  test("refused where the reader does not hear it, has not come to it, or has it dead", async () => {
    await doors.tell(["sign"], [1], { event: painted });
    expect(await resend(await told("sign"))).toMatchObject({ code: "TYPE_NOT_HEARD" });
    await doors.tell(["door"], [1]);
    expect(await resend(await told("door"))).toMatchObject({ code: "NOT_READ_YET" });
    jammed = ({ key }) => key === "door";
    doors.run([hear], {}, { attempts: 1 });
    await doors.untilDead(1);
    expect(await resend(await told("door"))).toMatchObject({ code: "ALREADY_WAITING" });
    expect(await listLetters(doors.beta, {}, { limit: 5 })).toHaveLength(1);
  });

  test("refused where it could not be kept until its turn comes", async () => {
    doors.run([hear]);
    await doors.tell(["door"], [1]);
    await applied.atLeast(1);
    const event = await told("door");
    if (!event) throw new Error("Nothing was told.");
    for (const unkeepable of ["\u0000", "\ud83d"])
      expect(await resend({ ...event, data: { note: unkeepable } })).toMatchObject({ code: "NOT_AN_EVENT" });
    expect(await latestOperations(doors.beta, { limit: 5 })).toEqual([]);
  });
});

describe("taking a reader back", () => {
  const reset = (wish: Partial<Pick<Reset, "source" | "toTime" | "again" | "dryRun" | "topics">> = {}) => {
    const [reader] = readers([hear]);
    if (!reader) throw new Error("There is no reader.");
    const whole = { reader, source: "alpha", again: false, dryRun: false, ...by, ...wish };
    return doors.beta.transaction((tx) => resetReader(tx, whole));
  };
  const settled = async () => {
    await waitFor(async () => (await online()).behind === 0 && (await online()).watermark !== null);
  };

  beforeEach(async () => {
    doors.run([hear]);
    await doors.tell(["a", "b"], [1]);
    // Moments are counted in milliseconds: the second steps are told in another one.
    const told = Date.now();
    await waitFor(() => Date.now() > told + 1);
    await doors.tell(["a", "b"], [2]);
    await applied.atLeast(4);
    await settled();
  });

  test("the preview counts and changes nothing", async () => {
    const before = (await doors.admin.query("select high, epoch from reader_cursor order by lane")).rows;
    expect(await reset({ dryRun: true })).toEqual({
      kind: "would-be-reset",
      streams: [
        { lane: "bulk", slot: 0, from: 0, to: 0, events: 0, keys: 0 },
        { lane: "online", slot: 0, from: 4, to: 0, events: 4, keys: 2 },
      ],
    });
    expect((await doors.admin.query("select high, epoch from reader_cursor order by lane")).rows).toEqual(before);
    expect(await latestOperations(doors.beta, { limit: 1 })).toEqual([]);
  });

  test("everything is given again, and what it had has no second effect", async () => {
    expect(await reset()).toMatchObject({ kind: "reset" });
    await settled();
    await doors.tell(["a"], [3]);
    await applied.atLeast(5);
    expect(applied.stepsOf("a")).toEqual([1, 2, 3]);
    expect(applied.stepsOf("b")).toEqual([1, 2]);
  });

  test("with `again` what lies behind the moment takes effect once more, in order", async () => {
    const { events } = await latestEvents(doors.beta, "alpha", { filter: { key: "a" }, limit: 1 });
    expect(await reset({ again: true, toTime: events[0]?.time ?? "" })).toMatchObject({ kind: "reset" });
    await applied.atLeast(6);
    await doors.tell(["a", "b"], [3]);
    await applied.atLeast(8);
    expect(applied.stepsOf("a")).toEqual([1, 2, 2, 3]);
    expect(applied.stepsOf("b")).toEqual([1, 2, 2, 3]);
  });

  test("one that reads Kafka and has not met its topic has nothing to go back to, and is made no reader of the outbox", async () => {
    await doors.admin.query("update reader_cursor set kafka = case lane when 'bulk' then '{}'::jsonb end");
    const registered = async () => (await doors.admin.query("select * from alpha.outbox_reader order by lane")).rows;
    const before = await registered();
    expect(await reset({ again: true, topics: {} })).toMatchObject({
      kind: "reset",
      streams: [
        { lane: "bulk", from: 0, to: 0 },
        { lane: "online", from: 0, to: 0 },
      ],
    });
    expect(await registered()).toEqual(before);
  });

  test("a stream that isn't there is refused, and a topic that isn't", async () => {
    await doors.admin.query(`update reader_cursor set kafka = '{"cluster": "c", "topic": "t", "at": {}}'`);
    expect(await reset()).toMatchObject({ code: "TOPIC_NOT_FOUND" });
    expect(await reset({ topics: {} })).toMatchObject({ code: "TOPIC_NOT_FOUND" });
    expect(await reset({ source: "gamma" })).toMatchObject({ code: "STREAM_NOT_FOUND" });
    expect(await latestOperations(doors.beta, { limit: 1 })).toEqual([]);
  });
});

describe("retiring", () => {
  const retire = (wish: Partial<Retirement> = {}) =>
    doors.beta.transaction((tx) =>
      retireReader(doors.beta, tx, { reader: "beta", source: "alpha", dryRun: false, ...by, ...wish }),
    );
  const rowsOf = async (table: string) => (await doors.admin.query(`select from ${table}`)).rowCount;
  const registered = () => rowsOf("alpha.outbox_reader where reader like 'beta%'");
  const slots = async (): Promise<string[]> => {
    const own = "select slot_name from pg_replication_slots where database = current_database() order by slot_name";
    return (await doors.admin.query(own)).rows.map(({ slot_name: name }) => name);
  };

  test("who runs is not retired; who is gone leaves nothing behind that anything would be kept for", async () => {
    const running = doors.run([hear], {}, { attempts: 1 });
    jammed = ({ key }) => key === "b";
    await doors.tell(["a", "b"], [1, 2]);
    await applied.atLeast(2);
    await doors.untilDead(1);
    await waitFor(async () => (await rowsOf("parked_event")) === 1, { what: "the event behind the dead one" });
    await waitFor(async () => (await registered()) === 2, { what: "both lanes' reports" });
    expect(await retire()).toMatchObject({ kind: "refused", code: "READER_RUNS" });

    await running.drain();
    const goes = {
      streams: [
        { lane: "online", slot: 0, replicationSlot: null },
        { lane: "bulk", slot: 0, replicationSlot: null },
      ],
      ...{ waitingEvents: 1, deadLetters: 1 },
    };
    expect(await retire({ dryRun: true })).toEqual({ kind: "would-be-retired", ...goes });
    expect(await registered()).toBe(2);
    expect(await retire()).toEqual({ kind: "retired", ...goes });
    expect(await registered()).toBe(0);
    for (const table of ["reader_cursor", "parked_event", "parked_key", "dead_letter"])
      expect(await rowsOf(table), table).toBe(0);
    const [line] = await latestOperations(doors.beta, { limit: 1 });
    expect(line).toMatchObject({ operation: "consumer.retire", target: "beta/alpha", ...by, after: goes });
    expect(await retire()).toMatchObject({ code: "STREAM_NOT_FOUND" });
  });

  test("one that begins again under the name of one that was retired has nothing twice", async () => {
    const running = doors.run([hear]);
    await doors.tell(["a"], [1, 2]);
    await applied.atLeast(2);
    await running.drain();
    expect(await retire()).toMatchObject({ kind: "retired" });
    doors.run([hear]);
    await doors.tell(["a"], [3]);
    await applied.atLeast(3);
    expect(applied.stepsOf("a")).toEqual([1, 2, 3]);
  });

  /** One that is still being made is there already, and can't be dropped as long as anything else on the server is under way. */
  const untilMade = (count: number) =>
    waitFor(
      async () => {
        const made =
          "select from pg_replication_slots where database = current_database() and confirmed_flush_lsn is not null";
        return (await doors.admin.query(made)).rowCount === count;
      },
      { withinMs: 30_000, what: "a slot for each stream" },
    );

  test("its replication slots go with it, and nobody else's", async () => {
    const other = consumer("beta.other", { on: [moved], in: "each", concurrency: 1, call: async () => undefined });
    const running = doors.run([hear, other], {}, { reader: "wal" });
    await untilMade(3);
    await running.drain();
    expect(await retire()).toMatchObject({
      kind: "retired",
      streams: [
        { replicationSlot: expect.stringMatching(/beta_alpha_online$/) },
        { replicationSlot: expect.stringMatching(/beta_alpha_bulk$/) },
      ],
    });
    expect(await slots()).toEqual([expect.stringMatching(/beta_other_alpha_online$/)]);
    expect(await retire({ reader: "beta.other" })).toMatchObject({ kind: "retired" });
    expect(await slots()).toEqual([]);
  });

  test("a slot whose session is just ending is waited for", async () => {
    const running = doors.run([hear], {}, { reader: "wal" });
    await untilMade(2);
    await running.drain();
    const [slot = ""] = await slots();
    const late = await doors.beta.replication(slot);
    const start = `START_REPLICATION SLOT ${slot} LOGICAL 0/0 (proto_version '1', publication_names 'none')`;
    // Refused as long as the session of the reader that was drained is ending, too.
    const isInUse = () =>
      late
        .stream(start, () => undefined)
        .then(
          () => true,
          () => false,
        );
    await waitFor(isInUse, { what: "the slot in use" });
    const asked =
      "select from pg_stat_activity where datname = current_database() and query like 'DROP_REPLICATION_SLOT%'";
    const retiring = retire();
    await waitFor(async () => (await doors.admin.query(asked)).rowCount === 1, { what: "an attempt to drop it" });
    late.close();
    expect(await retiring).toMatchObject({ kind: "retired" });
    expect(await slots()).toEqual([]);
  });
});
