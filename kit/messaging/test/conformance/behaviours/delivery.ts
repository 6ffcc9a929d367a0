/** What is committed arrives as it is; what is not, never. */

import { waitFor } from "@onsale/testing";
import { expect } from "vitest";
import { attributesOf, toCloudEvent } from "../../../src/events/cloud-event.ts";
import { fact } from "../../../src/events/event.ts";
import { EventRefusedError, maximumPayloadBytes, publish } from "../../../src/outbox/publish.ts";
import type { Behaviour } from "../behaviours.ts";
import { keys, moved, type Process, painted, range, rung, type Stage } from "../stage.ts";

export const deliveryBehaviours: readonly Behaviour[] = [
  {
    name: "what was told before anybody listened arrives, in order per key",
    async play(stage) {
      await stage.tell(keys, [1, 2, 3]);
      await stage.hear();
      await stage.expectSteps(keys, [1, 2, 3]);
    },
  },
  {
    name: "what is told while somebody listens arrives, in order per key",
    async play(stage) {
      await stage.hear();
      await stage.tell(keys, range(1, 5));
      await stage.expectSteps(keys, range(1, 5));
    },
  },
  {
    name: "a transaction that is rolled back is never delivered",
    async play(stage) {
      const process = await stage.hear();
      const writer = await stage.writer();
      await writer.run("begin");
      await writer.append("key-1", 3);
      await writer.run("rollback");
      await expect(
        stage.alpha.transaction(async (tx) => {
          await publish(tx, [fact(moved, { data: { id: "key-2", step: 1 }, sequence: 1, cause })]);
          throw new Error("changed my mind");
        }),
      ).rejects.toThrow("changed my mind");
      await stage.tell(["key-3"], [1]);
      await stage.untilQuiet(process);
      expect(process.given.map(({ key }) => key)).toEqual(["key-3"]);
    },
  },
  {
    name: "what a savepoint took back is never delivered, and the rest of its transaction is",
    async play(stage) {
      const process = await stage.hear();
      const writer = await stage.writer();
      await writer.run("begin");
      await writer.append("key-1");
      await writer.run("savepoint doubt");
      await writer.append("key-1");
      await writer.append("key-2");
      await writer.run("rollback to savepoint doubt");
      await writer.append("key-1");
      await writer.run("commit");
      await stage.expectSteps(["key-1"], [1, 2]);
      await stage.untilQuiet(process);
      expect(await stage.stepsOf("key-2")).toEqual([]);
    },
  },
  {
    name: "a transaction that commits late is delivered, with positions below those of events long applied",
    async play(stage) {
      const process = await stage.hear();
      const late = await stage.writer();
      const quick = await stage.writer();
      await late.run("begin");
      await late.append("key-1", 2);
      for (const _ of range(1, 5)) await quick.append("key-2");
      await stage.expectSteps(["key-2"], range(1, 5));
      await stage.untilQuiet(process);
      expect(await stage.stepsOf("key-1"), "it is not committed").toEqual([]);
      await late.run("commit");
      await stage.expectSteps(["key-1"], [1, 2]);
      await quick.append("key-1");
      await stage.expectSteps(["key-1"], [1, 2, 3]);
    },
  },
  {
    name: "an older transaction that changes a key after a younger one comes behind it",
    async play(stage) {
      await stage.hear();
      const [older, younger] = [await stage.writer(), await stage.writer()];
      // Its transaction id is the lower one, and its change of key-1 the later one.
      await older.run("begin");
      await older.append("key-0");
      await younger.append("key-1", 2);
      await older.append("key-1");
      await older.run("commit");
      await stage.expectSteps(["key-1"], [1, 2, 3]);
      await stage.expectSteps(["key-0"], [1]);
    },
  },
  {
    name: "a prepared transaction is delivered once it is committed, and never when it is rolled back",
    async play(stage) {
      const process = await stage.hear();
      const writer = await stage.writer();
      for (const [key, name] of [
        ["key-1", "kept"],
        ["key-2", "dropped"],
      ] as const) {
        await writer.run("begin");
        await writer.append(key, 2);
        // The name is the whole server's; the database's makes it this behaviour's own.
        await writer.run(`prepare transaction '${name} in ${new URL(stage.place.url).pathname}'`);
      }
      await stage.tell(["key-3"], [1]);
      await stage.untilEffects(1);
      await writer.run(`commit prepared 'kept in ${new URL(stage.place.url).pathname}'`);
      await writer.run(`rollback prepared 'dropped in ${new URL(stage.place.url).pathname}'`);
      await stage.expectSteps(["key-1"], [1, 2]);
      await stage.untilQuiet(process);
      expect(await stage.stepsOf("key-2")).toEqual([]);
    },
  },
  {
    name: "a transaction larger than several batches arrives whole and in order",
    async play(stage) {
      await stage.hear();
      const writer = await stage.writer();
      await writer.append("key-1", 2_500);
      await writer.append("key-2", 3);
      await stage.untilEffects(2_503);
      expect(await stage.stepsOf("key-1")).toEqual(range(1, 2_500));
      expect(await stage.stepsOf("key-2")).toEqual([1, 2, 3]);
    },
  },
  {
    name: "an event is the row that lies in the outbox: id, key, sequence, time, payload to the letter",
    async play(stage) {
      const process = await stage.hear();
      const note = {
        한정판: "한 장 남음",
        tab: '\t"\\',
        nothing: null,
        deep: [[{ half: 0.5 }], -1],
        large: 2 ** 53 - 1,
      };
      const data = { id: "key-1", step: 1, note };
      await stage.alpha.transaction((tx) => publish(tx, [fact(moved, { data, sequence: 1, cause })]));
      await stage.untilEffects(1);
      const { rows } = await stage.admin.query(`
        select id, type, aggregateid as key, sequence::int as sequence, payload as data, incarnation, created_at as time
        from alpha.outbox_online`);
      const [event] = process.given;
      expect(event).toMatchObject({ ...rows[0], time: rows[0].time.toISOString() });
      expect(event?.data).toEqual(data);
    },
  },
  {
    name: "an event has all attributes of CloudEvents 1.0, and the cause that it was told with",
    async play(stage) {
      const process = await stage.hear();
      const whole = {
        correlationId: "request-7",
        causationId: "0192f3c4-7b1a-7d3e-9a55-3f2b1c0d9e8f",
        traceparent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
      };
      await stage.alpha.transaction((tx) =>
        publish(tx, [fact(painted, { data: { id: "key-1", step: 1 }, sequence: 1, cause: whole, lane: "bulk" })]),
      );
      await stage.untilEffects(1);
      const [event] = process.given;
      if (!event) throw new Error("It was not given.");
      const { rows } = await stage.admin.query("select id, incarnation, created_at as time from alpha.outbox_bulk");
      expect(attributesOf(event)).toEqual({
        specversion: "1.0",
        id: rows[0].id,
        source: "alpha",
        type: "sign.painted.v1",
        subject: "key-1",
        time: rows[0].time.toISOString(),
        datacontenttype: "application/json",
        dataschema: "urn:event-schema:sign.painted.v1",
        key: "key-1",
        partitionkey: "key-1",
        sequence: "1",
        incarnation: rows[0].incarnation,
        lane: "bulk",
        correlationid: "request-7",
        causationid: whole.causationId,
        traceparent: whole.traceparent,
      });
      expect(toCloudEvent(event).data).toEqual({ id: "key-1", step: 1 });
    },
  },
  {
    name: "a producer that begins another life is seen to be another one",
    async play(stage) {
      const process = await stage.hear();
      await stage.tell(["key-1"], [1]);
      await stage.untilEffects(1);
      const { rows } = await stage.admin.query(
        "select alpha.outbox_renew_incarnation('restored in a test') as renewed",
      );
      await stage.tell(["key-1"], [2]);
      await stage.untilEffects(2);
      const [before, after] = process.given.map(({ incarnation }) => incarnation);
      expect(after).toBe(rows[0].renewed);
      expect(after).not.toBe(before);
    },
  },
  {
    name: "what is not fit to be told is refused at publish, and nothing of its transaction arrives",
    async play(stage) {
      const process = await stage.hear();
      const tooLong = "x".repeat(maximumPayloadBytes);
      const refusals = [
        [{ id: "key-1", step: 1, note: tooLong }, 1, /262144 are allowed/],
        [{ id: "", step: 1 }, 1, /has no key/],
        [{ id: "key-1", step: 0 }, 1, /does not fit its schema/],
        [{ id: "key-1", step: 1 }, 0, /has the sequence 0/],
      ] as const;
      for (const [data, sequence, why] of refusals) {
        const good = fact(moved, { data: { id: "key-2", step: 1 }, sequence: 1, cause });
        const publishing = stage.alpha.transaction((tx) => publish(tx, [good, fact(moved, { data, sequence, cause })]));
        await expect(publishing).rejects.toThrow(EventRefusedError);
        await expect(publishing).rejects.toThrow(why);
      }
      await stage.tell(["key-3"], [1]);
      await stage.untilQuiet(process);
      expect(process.given.map(({ key }) => key)).toEqual(["key-3"]);
    },
  },
  {
    name: "the largest payload that may be told arrives",
    async play(stage) {
      const process = await stage.hear();
      const frame = JSON.stringify({ id: "key-1", step: 1, note: "" }).length;
      const data = { id: "key-1", step: 1, note: "x".repeat(maximumPayloadBytes - frame) };
      await stage.alpha.transaction((tx) => publish(tx, [fact(moved, { data, sequence: 1, cause })]));
      await stage.untilEffects(1);
      expect(process.given[0]?.data).toEqual(data);
    },
  },
  {
    name: "an event of a type that nobody here knows holds up nothing, and is not silently lost where nobody else keeps it",
    async play(stage) {
      const process = await stage.hear();
      const unknown = fact(rung, { data: { id: "key-1", step: 1 }, sequence: 1, cause });
      await stage.alpha.transaction((tx) => publish(tx, [unknown]));
      await stage.tell(["key-1"], [1]);
      await stage.untilQuiet(process);
      expect(await stage.effects()).toMatchObject([{ key: "key-1", sequence: 1 }]);
      // A table shows what nobody heard for as long as it is kept; on a topic of many owners it may be anybody's mistake.
      const letters = await stage.admin.query("select type, cause, readable from dead_letter");
      const expected = { type: "bell.rung.v1", cause: "UNKNOWN_TYPE", readable: false };
      expect(letters.rows).toEqual(stage.log.kind === "kafka" ? [expected] : []);
    },
  },
  {
    name: "every reader has everything, at its own pace",
    async play(stage) {
      const gate = stage.gate();
      const [batches, calls] = [await stage.hear(), await stage.call({ at: () => gate.opened })];
      await stage.tell(keys, [1, 2]);
      await untilEffectsOf(stage, batches, 40);
      expect((await stage.effects()).some(({ owner }) => owner === calls.name)).toBe(false);
      gate.open();
      await untilEffectsOf(stage, calls, 40);
    },
  },
];

const cause = { correlationId: "test" };

async function untilEffectsOf(stage: Stage, { name }: Process, count: number): Promise<void> {
  const own = async () => (await stage.effects()).filter(({ owner }) => owner === name);
  await waitFor(async () => (await own()).length >= count, { what: `${count} effects of ${name}` });
  expect(await own()).toHaveLength(count);
}
