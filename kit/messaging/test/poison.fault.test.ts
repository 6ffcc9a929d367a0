import { spawnNode, type TestDatabase, waitFor } from "@onsale/testing";
import type pg from "pg";
import { Type } from "typebox";
import { afterEach, beforeEach, expect, test } from "vitest";
import { defineEvent, fact } from "../src/events/event.ts";
import { publish } from "../src/outbox/publish.ts";
import { type TwoServices, twoServices } from "./two-services.ts";

const schema = Type.Object({ id: Type.String(), step: Type.Integer() });
const opened = defineEvent("door.opened.v1", {
  key: "id",
  lanes: { online: true },
  schema,
  sample: { id: "d", step: 1 },
});

const keys = Array.from({ length: 30 }, (_, index) => `door-${index}`);
const poison = "door-17";

let services: TwoServices;
let home: TestDatabase;
let admin: pg.Pool;

beforeEach(async () => {
  services = await twoServices();
  ({ home, admin } = services);
  await admin.query("create table beta.heard (key text not null)");
});
afterEach(async () => {
  await services[Symbol.asyncDispose]();
});

test.each(["batch", "each"])(
  "an event that kills its process is found and set aside: %s",
  async (manner) => {
    await home.open("alpha").transaction((tx) =>
      publish(
        tx,
        keys.map((id) => fact(opened, { data: { id, step: 1 }, sequence: 1, cause: { correlationId: "test" } })),
      ),
    );
    // Each meets it, is killed, and is taken over; the first meets it among others, the last of them no more.
    let killed = 0;
    for (let isAlive = false; !isAlive && killed < 10; ) {
      await using process = await spawnNode(new URL("./poison-process.ts", import.meta.url), {
        args: [home.adminUrl, manner, poison],
      });
      let isOver = false;
      void process.ended.then(() => {
        isOver = true;
      });
      await waitFor(async () => isOver || (await countHeard()) === keys.length - 1, { what: "its end, or all others" });
      isAlive = !isOver;
      if (!isAlive) killed++;
    }
    // At most: once in a crowd, and three times alone.
    expect(killed).toBeGreaterThanOrEqual(3);
    expect(killed).toBeLessThanOrEqual(4);

    const { rows: parked } = await admin.query("select key, state, error from parked_key");
    expect(parked).toEqual([{ key: poison, state: "dead", error: expect.stringContaining("PoisonError") }]);
    const { rows: heard } = await admin.query("select distinct key from heard");
    expect(heard.map(({ key }) => key).toSorted()).toEqual(keys.filter((key) => key !== poison).toSorted());
  },
  60_000,
);

async function countHeard(): Promise<number> {
  const { rows } = await admin.query("select count(distinct key)::int as heard from heard");
  return rows[0].heard;
}
