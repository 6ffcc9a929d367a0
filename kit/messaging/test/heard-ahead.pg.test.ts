/** What a reader heard and its producer does not know of, as after a restore of the producer alone. */

import { afterEach, beforeEach, expect, test } from "vitest";
import { consumer } from "../src/consumers/consumer.ts";
import { readersOf } from "../src/consumers/readers.ts";
import { heardAhead } from "../src/operations/heard-ahead.ts";
import { type Doors, heard, moved, openDoors, painted } from "./doors.ts";

let doors: Doors;

const hear = (applied: ReturnType<typeof heard>) =>
  consumer("beta.hear", { on: [moved, painted], in: "batch", do: async (_tx, events) => void applied.add(events) });
const [reader] = readersOf("beta", [hear(heard())], () => "alpha");
if (!reader) throw new Error("There is no reader.");
const compare = (page: { after?: { aggregate: string; key: string }; limit?: number } = {}) =>
  heardAhead(doors.beta, { reader, source: "alpha" }, { limit: 10, ...page });

/** As an older backup has it. */
const forget = (condition: string) =>
  doors.admin.query(`set session_replication_role = replica; delete from alpha.outbox_online where ${condition};
    reset session_replication_role`);

beforeEach(async () => {
  doors = await openDoors();
  const applied = heard();
  doors.run([hear(applied)]);
  await doors.tell(["a", "b", "c"], [1, 2, 3]);
  await doors.tell(["d"], [1], { event: painted, lane: "bulk" });
  await applied.atLeast(10);
});
afterEach(() => doors[Symbol.asyncDispose]());

test("nothing, as long as the producer has told all that was heard", async () => {
  expect(await compare()).toEqual({ kind: "compared", since: null, keys: [] });
});

test("each key that was heard further than its producer knows, with what it knows", async () => {
  await forget("aggregateid = 'a' and sequence > 1 or aggregateid = 'c'");
  const keys = [
    { aggregate: "door", key: "a", heard: 3, heardToldAt: expect.any(String), told: 1 },
    { aggregate: "door", key: "c", heard: 3, heardToldAt: expect.any(String), told: null },
  ];
  expect(await compare()).toEqual({ kind: "compared", since: null, keys });
  expect(await compare({ limit: 1 })).toMatchObject({ keys: keys.slice(0, 1) });
  expect(await compare({ after: { aggregate: "door", key: "a" } })).toMatchObject({ keys: keys.slice(1) });
  expect(await compare({ after: { aggregate: "door", key: "c" } })).toMatchObject({ keys: [] });
});

test("a key that goes on in another life of its producer is not named any more, one that does not is", async () => {
  await forget("sequence > 1");
  await doors.admin.query("select alpha.outbox_renew_incarnation('restored in a test')");
  await doors.tell(["a"], [2]);
  await expect
    .poll(() => compare())
    .toMatchObject({
      keys: [
        { key: "b", heard: 3, told: 1 },
        { key: "c", heard: 3, told: 1 },
      ],
    });
});

test("what the outbox has let go is not taken for unknown", async () => {
  const { rows } = await doors.admin.query(
    "select created_at as at from alpha.outbox_online where aggregateid = 'b' and sequence = 3",
  );
  await forget("aggregateid = 'a'");
  await doors.admin.query(
    `update alpha.outbox_partition set truncated_at = clock_timestamp()
     where lane = 'online' and first_position = (select min(first_position) from alpha.outbox_partition where lane = 'online')`,
  );
  await forget("not (aggregateid in ('b', 'c') and sequence = 3)");
  expect(await compare()).toEqual({ kind: "compared", since: rows[0].at.toISOString(), keys: [] });
});

test("of a reader without order, and of a source that is not heard, nothing can be said", async () => {
  const [unordered] = readersOf(
    "beta",
    [{ kind: "each", name: "beta.call", on: [moved], order: "unordered" }],
    () => "alpha",
  );
  if (!unordered) throw new Error("There is no reader.");
  const page = { limit: 10 };
  expect(await heardAhead(doors.beta, { reader: unordered, source: "alpha" }, page)).toMatchObject({
    code: "NO_SEQUENCES",
  });
  expect(await heardAhead(doors.beta, { reader, source: "gamma" }, page)).toMatchObject({ code: "STREAM_NOT_FOUND" });
});
