import { migrations as messaging } from "@onsale/messaging";
import type { Database } from "@onsale/postgres";
import { type TestDatabase, testDatabase, testIds } from "@onsale/testing";
import { afterEach, beforeEach, expect, test } from "vitest";
import { closeTask, closeTasksOf, listOpenTasks, migrations, openTasks } from "../src/index.ts";

let own: TestDatabase;
let database: Database;
let ids: ReturnType<typeof testIds>;
beforeEach(async () => {
  own = await testDatabase({ schema: "trips", sets: [messaging, migrations] });
  database = own.open("trips");
  ids = testIds();
});
afterEach(() => own.close());

const open = (...keys: string[]) =>
  database.transaction((tx) =>
    openTasks(
      tx,
      keys.map((key) => ({ taskId: ids.uuid(), kind: "trip.owed.pay", key, what: "Ask the bank." })),
    ),
  );
const waiting = async () => (await listOpenTasks(database, { limit: 10 })).map(({ key }) => key);

test("called twice for one thing is one task; a new call after it was closed is another", async () => {
  await open("a", "b");
  await open("a");
  expect(await waiting()).toEqual(["a", "b"]);
  const [task] = await listOpenTasks(database, { limit: 1 });
  const closing = { taskId: task?.taskId ?? "", closedBy: "maria", outcome: "The bank had paid it back." };
  expect(await closeTask(database, closing)).toBe(true);
  expect(await closeTask(database, closing)).toBe(false);
  expect(await waiting()).toEqual(["b"]);
  await open("a");
  expect(await waiting()).toEqual(["b", "a"]);
});

test("a page goes on after the last task of the one before", async () => {
  await open("a", "b", "c");
  const [first] = await listOpenTasks(database, { limit: 1 });
  const rest = await listOpenTasks(database, { limit: 10, after: first?.taskId ?? "" });
  expect(rest.map(({ key }) => key)).toEqual(["b", "c"]);
});

test("what settled by itself is closed, of its kind and key only", async () => {
  await open("a", "b");
  const settle = (kind: string) =>
    database.transaction((tx) =>
      closeTasksOf(tx, { kind, keys: ["a"], closedBy: "trips", outcome: "It came after all." }),
    );
  await settle("trip.owed.seat");
  expect(await waiting()).toEqual(["a", "b"]);
  await settle("trip.owed.pay");
  expect(await waiting()).toEqual(["b"]);
});
