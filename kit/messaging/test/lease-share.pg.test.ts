import { afterEach, beforeEach, expect, test } from "vitest";
import { askForLease } from "../src/consumers/lease-share.ts";
import { type Doors, openDoors } from "./doors.ts";

let doors: Doors;

beforeEach(async () => {
  doors = await openDoors();
});
afterEach(() => doors[Symbol.asyncDispose]());

const slotsAre = (rows: readonly { readonly owner: string | null; readonly wantedBy?: string }[]) =>
  doors.admin.query(
    `insert into reader_cursor (reader, source, lane, slot, slots, owner, lease_until, wanted_by, wanted_until)
     select 'beta', 'alpha', 'online', ordinality - 1, $1, row ->> 'owner',
       case when row ->> 'owner' is null then '-infinity' else clock_timestamp() + interval '1 minute' end,
       row ->> 'wantedBy', case when row ->> 'wantedBy' is not null then clock_timestamp() + interval '1 minute' end
     from jsonb_array_elements($2::jsonb) with ordinality as given(row, ordinality)`,
    [rows.length, JSON.stringify(rows)],
  );

const asks = (asker: string, slot: number) =>
  askForLease(doors.beta, { reader: "beta", source: "alpha", lane: "online", slot }, asker);

test("who has none asks one who has most", async () => {
  await slotsAre([{ owner: "one" }, { owner: "one" }, { owner: "two" }]);
  expect(await asks("three", 2)).toBe("content");
  expect(await asks("three", 0)).toBe("asked");
});

test("what was given back for somebody is theirs before they have taken it", async () => {
  await slotsAre([{ owner: null, wantedBy: "three" }, { owner: "one" }, { owner: "two" }, { owner: "two" }]);
  expect(await asks("three", 2)).toBe("content");
  expect(await asks("four", 2)).toBe("asked");
});
