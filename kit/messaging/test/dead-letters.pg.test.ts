import { once } from "node:events";
import { waitFor } from "@onsale/testing";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type Consumer, consumer } from "../src/consumers/consumer.ts";
import { beginAttempt, dueKeys, lockAttempt, waitBehind, waitingBound } from "../src/consumers/parking.ts";
import { FencedError } from "../src/consumers/progress.ts";
import type { Delivered } from "../src/events/event.ts";
import {
  countLetters,
  dropLetter,
  editLetter,
  groupLetters,
  type Letter,
  listLetters,
  showLetter,
} from "../src/operations/dead-letters.ts";
import { latestOperations } from "../src/operations/operation-log.ts";
import { redriveLetter } from "../src/operations/redrive.ts";
import { type Doors, heard, moved, openDoors, painted } from "./doors.ts";

let doors: Doors;
beforeEach(async () => {
  doors = await openDoors();
});
afterEach(() => doors[Symbol.asyncDispose]());

const by = { operator: "olga", reason: "the locksmith was here" };
const nobody = { reader: "beta", eventId: "00000000-0000-4000-8000-000000000000" };
const nextDoors = Array.from({ length: 20 }, (_, index) => `door-${index}`);

/** A handler that fails at what `isJammed` says, and hears the rest. */
function hearing(isJammed: (event: Delivered) => boolean, sound = heard()) {
  const hear: Consumer = consumer("beta.hear", {
    on: [moved, painted],
    in: "batch",
    do: async (_tx, events) => {
      const jammed = events.find(isJammed);
      if (jammed) throw new Error(`"${jammed.key}" is jammed at ${jammed.sequence}`);
      sound.add(events);
    },
  });
  return { hear, ...sound };
}

/** The only dead letter. */
async function onlyLetter(): Promise<Letter> {
  const [letter, ...others] = await listLetters(doors.beta, {}, { limit: 10 });
  if (!letter || others.length > 0) throw new Error(`There are ${others.length + (letter ? 1 : 0)} letters.`);
  return letter;
}

const redrive = (letter: { reader: string; eventId: string }, mode: "redeliver" | "reprocess" = "redeliver") =>
  doors.beta.transaction((tx) => redriveLetter(tx, { ...letter, mode, ...by }));

const parkedKeys = async (): Promise<unknown[]> =>
  (await doors.admin.query("select key, state, attempts from parked_key order by key")).rows;

describe("one key whose handler fails", () => {
  test("it and only it waits; redriven, its events are applied in order, and later ones after them", async () => {
    let jammed = true;
    const { hear, stepsOf, atLeast } = hearing(({ key }) => jammed && key === "door-3");
    doors.run([hear]);
    await doors.tell(nextDoors, [1, 2, 3]);
    await doors.untilDead(1);
    await atLeast(57);
    for (const key of nextDoors) expect(stepsOf(key)).toEqual(key === "door-3" ? [] : [1, 2, 3]);

    const letter = await onlyLetter();
    expect(await showLetter(doors.beta, letter)).toMatchObject({
      key: "door-3",
      sequence: 1,
      type: moved.type,
      source: "alpha",
      blocks: true,
      attempts: 2,
      waiting: 2,
      error: 'Error: "door-3" is jammed at 1',
      cause: "Error: * is jammed at *",
      event: { id: letter.eventId, data: { id: "door-3", step: 1 } },
      operations: [],
    });

    jammed = false;
    expect(await redrive(letter)).toEqual({ kind: "redriven", eventId: letter.eventId, blocked: false });
    await doors.tell(nextDoors, [4]);
    await atLeast(80);
    for (const key of nextDoors) expect(stepsOf(key)).toEqual([1, 2, 3, 4]);
    await expect.poll(parkedKeys).toEqual([]);
  });

  test("each head of the key has all its attempts, and what dies again stays dead", async () => {
    const { hear, stepsOf, atLeast } = hearing(({ key, sequence }) => key === "door" && sequence === 2);
    doors.run([hear]);
    await doors.tell(["door"], [1, 2, 3]);
    await doors.untilDead(1);
    const letter = await onlyLetter();
    expect(letter).toMatchObject({ sequence: 2, attempts: 2 });
    await redrive(letter);
    await expect.poll(() => listLetters(doors.beta, {}, { limit: 10 })).toMatchObject([{ attempts: 2, sequence: 2 }]);
    await atLeast(1);
    expect(stepsOf("door")).toEqual([1]);
  });
});

describe("a type whose dead are skipped", () => {
  test("the rest of the key flows on in order; the letter stays and can be redriven out of order", async () => {
    let jammed = true;
    const { hear, stepsOf, atLeast } = hearing(({ sequence }) => jammed && sequence === 2);
    doors.run([hear]);
    await doors.tell(["sign"], [1, 2, 3, 4], { event: painted });
    await doors.untilDead(1);
    await atLeast(3);
    expect(stepsOf("sign")).toEqual([1, 3, 4]);
    await expect.poll(parkedKeys).toEqual([]);
    const letter = await onlyLetter();
    expect(letter).toMatchObject({ sequence: 2, blocks: false });

    jammed = false;
    expect(await redrive(letter)).toMatchObject({ kind: "redriven" });
    await atLeast(4);
    expect(stepsOf("sign")).toEqual([1, 3, 4, 2]);
    await expect.poll(parkedKeys).toEqual([]);
  });

  test("what does not fit its schema is skipped at once", async () => {
    const { hear, stepsOf, atLeast } = hearing(({ data }) => typeof (data as { step: unknown }).step !== "number");
    doors.run([hear]);
    await doors.tell(["sign"], [1], { event: painted });
    await atLeast(1);
    await doors.admin.query(`insert into alpha.outbox_online (id, aggregatetype, aggregateid, type, payload, sequence, headers)
      values (gen_random_uuid(), 'sign', 'sign', 'sign.painted.v1', '{"id": 7}', 2, '{"correlationid":"test"}')`);
    await doors.untilDead(1);
    await doors.tell(["sign"], [3], { event: painted });
    await atLeast(2);
    expect(stepsOf("sign")).toEqual([1, 3]);
    expect(await onlyLetter()).toMatchObject({ blocks: false, attempts: 1 });
  });
});

describe("looking", () => {
  test("letters are grouped by reader, type and cause, the largest group first", async () => {
    const { hear } = hearing(() => true);
    doors.run([hear]);
    await doors.tell(["a", "b", "c"], [1, 2]);
    await doors.tell(["sign"], [1], { event: painted });
    await doors.untilDead(4);
    const groups = await groupLetters(doors.beta);
    expect(groups).toMatchObject([
      { reader: "beta", type: moved.type, cause: "Error: * is jammed at *", letters: 3, blocking: 3 },
      { reader: "beta", type: painted.type, cause: "Error: * is jammed at *", letters: 1, blocking: 0 },
    ]);
    expect(groups.every(({ oldestDiedAt, latestDiedAt }) => oldestDiedAt <= latestDiedAt)).toBe(true);
    expect(await showLetter(doors.beta, { reader: "beta", eventId: groups[0]?.example ?? "" })).toMatchObject({
      waiting: 1,
    });
  });

  test("a list goes on behind its last letter, and every filter narrows it", async () => {
    const { hear } = hearing(() => true);
    doors.run([hear]);
    await doors.tell(["a", "b", "c"], [1]);
    await doors.untilDead(3);
    const whole = await listLetters(doors.beta, {}, { limit: 10 });
    const first = await listLetters(doors.beta, {}, { limit: 2 });
    const rest = await listLetters(doors.beta, {}, { limit: 2, after: first[1] });
    expect([...first, ...rest]).toEqual(whole);
    expect(whole).toHaveLength(3);
    expect(await countLetters(doors.beta, { key: "b" })).toBe(1);
    for (const filter of [{ reader: "gamma" }, { type: "door.shut.v1" }, { cause: "Error" }, { key: "d" }]) {
      expect(await countLetters(doors.beta, filter)).toBe(0);
      expect(await listLetters(doors.beta, filter, { limit: 10 })).toEqual([]);
    }
  });
});

describe("editing", () => {
  const definitionOf = (type: string) => [moved, painted].find((definition) => definition.type === type);
  const edit = (wish: { data: unknown; revision?: number; dryRun?: boolean; eventId?: string }) =>
    doors.beta.transaction(async (tx) =>
      editLetter(tx, { reader: "beta", eventId: (await onlyLetter()).eventId, ...wish, ...by }, definitionOf),
    );
  let sound: ReturnType<typeof hearing>;

  beforeEach(async () => {
    sound = hearing(({ data }) => (data as { step: number }).step === 13);
    doors.run([sound.hear]);
    await doors.tell(["door"], [13]);
    await doors.untilDead(1);
  });

  test("the difference is shown first and stored then; redriven, the handler gets what was stored", async () => {
    const difference = [{ op: "replace", path: "/step", before: 13, value: 14 }];
    const data = { id: "door", step: 14 };
    expect(await edit({ data, dryRun: true })).toEqual({ kind: "would-be-edited", revision: 0, difference });
    expect(await onlyLetter()).toMatchObject({ revision: 0 });
    expect(await edit({ data, revision: 0 })).toEqual({ kind: "edited", revision: 1, difference });
    expect(await edit({ data })).toEqual({ kind: "unchanged", revision: 1, difference: [] });
    await redrive(await onlyLetter());
    await sound.atLeast(1);
    expect(sound.events).toMatchObject([{ sequence: 13, data }]);
    expect(await latestOperations(doors.beta, { limit: 5 })).toMatchObject([
      { operation: "dead-letter.redeliver", operator: "olga" },
      { operation: "dead-letter.edit", reason: by.reason, before: { id: "door", step: 13 }, after: data },
    ]);
  });

  test.each([
    ["PAYLOAD_DOES_NOT_FIT", { data: { id: "door", step: "fourteen" } }],
    ["PAYLOAD_DOES_NOT_FIT", { data: { id: "door", step: 14, colour: "red" } }],
    ["PAYLOAD_DOES_NOT_FIT", { data: null }],
    ["PAYLOAD_DOES_NOT_FIT", { data: { id: "do\0r", step: 14 } }],
    ["KEY_CHANGED", { data: { id: "window", step: 14 } }],
    ["LETTER_CHANGED", { data: { id: "door", step: 14 }, revision: 7 }],
    ["LETTER_NOT_FOUND", { data: { id: "door", step: 14 }, eventId: nobody.eventId }],
  ])("%s: %j is refused and changes nothing", async (code, wish) => {
    const before = await showLetter(doors.beta, await onlyLetter());
    expect(await edit(wish)).toMatchObject({ kind: "refused", code, detail: expect.stringMatching(/\.$/) });
    expect(await showLetter(doors.beta, await onlyLetter())).toEqual(before);
  });

  test("a payload of a type that nobody hears any more can't be checked, so it is not stored", async () => {
    const { eventId } = await onlyLetter();
    const wish = { reader: "beta", eventId, data: { id: "door", step: 14 }, ...by };
    expect(await doors.beta.transaction((tx) => editLetter(tx, wish, () => undefined))).toMatchObject({
      code: "TYPE_NOT_HEARD",
    });
  });
});

describe("dropping", () => {
  const drop = (letter: { reader: string; eventId: string }) =>
    doors.beta.transaction((tx) => dropLetter(tx, { ...letter, ...by }));

  test("the event is given up and kept in the log, and what waits behind it goes on", async () => {
    const { hear, stepsOf, atLeast } = hearing(({ sequence }) => sequence === 1);
    doors.run([hear]);
    await doors.tell(["door"], [1, 2, 3]);
    await doors.untilDead(1);
    const letter = await onlyLetter();
    expect(await drop(letter)).toEqual({ kind: "dropped", freed: false });
    await atLeast(2);
    expect(stepsOf("door")).toEqual([2, 3]);
    expect(await latestOperations(doors.beta, { limit: 1 })).toMatchObject([
      { operation: "dead-letter.drop", target: letter.eventId, before: { id: letter.eventId, data: { step: 1 } } },
    ]);
  });

  test("with nothing behind it the key is free", async () => {
    const { hear, stepsOf, atLeast } = hearing(({ sequence }) => sequence === 1);
    doors.run([hear]);
    await doors.tell(["door"], [1]);
    await doors.untilDead(1);
    expect(await drop(await onlyLetter())).toEqual({ kind: "dropped", freed: true });
    await doors.tell(["door"], [2]);
    await atLeast(1);
    expect(stepsOf("door")).toEqual([2]);
  });

  test("what isn't there is refused, by drop and by redrive, and no line is written", async () => {
    expect(await drop(nobody)).toMatchObject({ code: "LETTER_NOT_FOUND" });
    expect(await redrive(nobody)).toMatchObject({ code: "LETTER_NOT_FOUND" });
    expect(await showLetter(doors.beta, nobody)).toBeUndefined();
    expect(await latestOperations(doors.beta, { limit: 1 })).toEqual([]);
  });
});

test("redelivered, an event keeps its id; reprocessed, it has a new one and says of which it is a replay", async () => {
  let jammed = true;
  const { hear, events, atLeast } = hearing(() => jammed);
  doors.run([hear]);
  await doors.tell(["a", "b"], [1]);
  await doors.untilDead(2);
  const [a, b] = (await listLetters(doors.beta, {}, { limit: 2 })).sort((one, other) => (one.key < other.key ? -1 : 1));
  if (!a || !b) throw new Error("Two letters were expected.");
  jammed = false;
  expect(await redrive(a)).toMatchObject({ eventId: a.eventId });
  const again = await redrive(b, "reprocess");
  await atLeast(2);
  expect(events.find(({ key }) => key === "a")).toMatchObject({ id: a.eventId });
  expect(events.find(({ key }) => key === "a")).not.toHaveProperty("replayOf");
  expect(again).toMatchObject({ kind: "redriven", eventId: expect.not.stringMatching(b.eventId) });
  expect(events.find(({ key }) => key === "b")).toMatchObject({
    id: again.kind === "redriven" && again.eventId,
    replayOf: b.eventId,
  });
});

describe("at the same moment", () => {
  test("of ten redrives of one letter one puts it back, and it is applied once", async () => {
    let jammed = true;
    const { hear, stepsOf, atLeast } = hearing(({ key }) => jammed && key === "door");
    doors.run([hear]);
    await doors.tell(["door"], [1, 2]);
    await doors.untilDead(1);
    const letter = await onlyLetter();
    jammed = false;
    const outcomes = await Promise.all(Array.from({ length: 10 }, () => redrive(letter)));
    expect(outcomes.filter(({ kind }) => kind === "redriven")).toHaveLength(1);
    expect(
      outcomes.filter((outcome) => outcome.kind === "refused" && outcome.code === "LETTER_NOT_FOUND"),
    ).toHaveLength(9);
    await doors.tell(["next"], [1]);
    await atLeast(3);
    expect(stepsOf("door")).toEqual([1, 2]);
  });

  test("events put behind a key while it is redriven, dropped and dies again are neither lost nor overtaken", async () => {
    // Every third step fails whenever it is tried for the first time since it died.
    const failed = new Set<number>();
    const { hear, stepsOf } = hearing(({ sequence }) => {
      if (sequence % 3 !== 0 || failed.has(sequence)) return false;
      failed.add(sequence);
      return true;
    });
    doors.run([hear], {}, { attempts: 1 });
    const steps = Array.from({ length: 60 }, (_, index) => index + 1);
    const telling = doors.tell(["door"], steps);
    await expect
      .poll(
        async () => {
          for (const letter of await listLetters(doors.beta, {}, { limit: 10 })) await redrive(letter);
          return stepsOf("door").length;
        },
        { timeout: 20_000, interval: 5 },
      )
      .toBe(60);
    await telling;
    // A batch that fails is tried in halves, so a step may be tried twice; what counts is the order of what was applied.
    expect(stepsOf("door")).toEqual(steps);
    expect(failed.size).toBe(20);
    await expect.poll(parkedKeys).toEqual([]);
  });
});

describe("attempts", () => {
  const feed = { reader: "beta", source: "alpha", lane: "online", slot: 0 } as const;

  beforeEach(async () => {
    const { hear } = hearing(() => true);
    const feeds = doors.run([hear], {}, { attempts: 1 });
    await doors.tell(["door"], [1, 2]);
    await doors.untilDead(1);
    // The second step may be on its way still when the first is dead.
    await expect.poll(async () => (await doors.admin.query("select from parked_event")).rowCount).toBe(1);
    await feeds.drain();
    await redrive(await onlyLetter());
  });

  test("one that a process did not live to end counts, and after the last its key is not tried any more", async () => {
    const [due] = await dueKeys(doors.beta, feed, 10);
    if (!due) throw new Error("No key is due.");
    for (const number of [1, 2, 3])
      expect(await beginAttempt(doors.beta, feed, due, 0)).toMatchObject({ number, event: { sequence: 1 } });
    let tried = 0;
    const { hear } = hearing(() => ++tried > 0);
    doors.run([hear], {}, { attempts: 3 });
    await doors.untilDead(1);
    expect(tried).toBe(0);
    expect(await onlyLetter()).toMatchObject({ cause: expect.stringContaining("PoisonError"), attempts: 4 });
  });

  test("one that was overtaken by another can't settle the key", async () => {
    const [due] = await dueKeys(doors.beta, feed, 10);
    const frozen = due && (await beginAttempt(doors.beta, feed, due, 0));
    const second = due && (await beginAttempt(doors.beta, feed, due, 0));
    if (!frozen || !second) throw new Error("No attempt was begun.");
    await expect(doors.beta.transaction((tx) => lockAttempt(tx, feed, frozen))).rejects.toThrow(FencedError);
    await doors.beta.transaction((tx) => lockAttempt(tx, feed, second));
  });
});

test("an attempt under way for longer than a lease is held: no other feed begins it, nor takes it for poison", async () => {
  const leaseMs = 900;
  let tries = 0;
  const answer = new AbortController();
  const answered = once(answer.signal, "abort");
  const call: Consumer = consumer("beta.call", {
    on: painted,
    in: "each",
    concurrency: 2,
    async call() {
      if (++tries === 1) throw new Error("the first call fails, so that the key is parked");
      await answered;
    },
  });
  // Both lanes' feeds look after the keys that their reader has parked.
  doors.run([call], {}, { attempts: 2, leaseMs });
  await doors.tell(["door"], [1], { event: painted });
  const heldUntil = async (): Promise<Date | undefined> =>
    (await doors.admin.query("select next_attempt_at as until from parked_key where attempts = 2")).rows[0]?.until;
  const begunUntil = await waitFor(heldUntil);
  await waitFor(async () => Number(await heldUntil()) > Number(begunUntil) + leaseMs, { what: "a held attempt" });
  answer.abort();
  await expect.poll(parkedKeys, { timeout: 10_000 }).toEqual([]);
  expect(tries).toBe(2);
  expect(await listLetters(doors.beta, {}, { limit: 10 })).toEqual([]);
});

test("so many events may wait behind a key and no more: what moves the cursor past another fails, and the feed stands", async () => {
  const { hear } = hearing(({ key }) => key === "door");
  doors.run([hear], {}, { attempts: 1 });
  await doors.tell(["door"], [1]);
  await doors.untilDead(1);
  const [event] = (await doors.admin.query("select event from dead_letter")).rows;
  const waiting = Array.from({ length: waitingBound }, (_, index) => ({ ...event.event, sequence: index + 2 }));
  await doors.beta.transaction((tx) => waitBehind(tx, "beta", waiting));
  const overfull = doors.beta.transaction((tx) =>
    waitBehind(tx, "beta", [{ ...event.event, sequence: waitingBound + 2 }]),
  );
  await expect(overfull).rejects.toThrow(/More than 10000 events wait/);
  expect((await doors.admin.query("select count(*)::int as waiting from parked_event")).rows).toEqual([
    { waiting: waitingBound },
  ]);
});

test("nobody changes the log of operations: neither the service nor an administrator", async () => {
  await doors.admin.query("insert into operation_log (operator, operation, target) values ('olga', 'test', 'x')");
  for (const change of [
    "update operation_log set operator = 'nobody'",
    "delete from operation_log",
    "truncate operation_log",
  ])
    await expect(doors.admin.query(change)).rejects.toThrow(/append-only/);
});
