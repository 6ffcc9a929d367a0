import { migrations as messaging } from "@onsale/messaging";
import { type Database, sql, text } from "@onsale/postgres";
import { type TestDatabase, testDatabase, testIds } from "@onsale/testing";
import { afterEach, beforeEach, expect, test } from "vitest";
import { callForCompensations, closeTask, listOpenTasks, migrations, readTask } from "../src/index.ts";

let own: TestDatabase;
let database: Database;
let ids: ReturnType<typeof testIds>;
beforeEach(async () => {
  own = await testDatabase({ schema: "trips", sets: [messaging, migrations] });
  database = own.open("trips");
  ids = testIds();
});
afterEach(() => own.close());

const compensations = { "trip.withdrawn.v1": "The trip is not paid back." };
const call = () => database.transaction((tx) => callForCompensations(tx, { reader: "trips", compensations, ids }));
const waiting = async () => (await listOpenTasks(database, { limit: 10 })).map(({ kind, key }) => `${kind} ${key}`);

const parkSql = sql("test.park-trip", { takes: [text], gives: {} })`
  insert into parked_key (reader, aggregate, key, source, state, attempts, next_attempt_at, error)
  values ('trips', 'trip', $1, 'desk', 'dead', 5, now(), 'on purpose') on conflict do nothing`;
const dieSql = sql("test.letter-dies", { takes: [text, text], gives: {} })`
  insert into dead_letter (reader, event_id, aggregate, key, sequence, type, source, blocks, event, error, cause, attempts)
  values ('trips', $1 || ' ' || $2, 'trip', $1, 3, $2, 'desk', true, '{}', 'The bank is gone.', 'gone', 5)`;
const waitSql = sql("test.event-waits", { takes: [text, text], gives: {} })`
  insert into parked_event (reader, aggregate, key, sequence, event) values ('trips', 'trip', $1, 4, jsonb_build_object('type', $2::text))`;
const redriveSql = sql("test.letter-is-tried-again", { takes: [text], gives: {} })`
  delete from dead_letter where key = $1`;
const freeSql = sql("test.trip-goes-on", { takes: [text], gives: {} })`delete from parked_key where key = $1`;
const dropSql = sql("test.letter-is-dropped", { takes: [text, text], gives: {} })`
  insert into operation_log (operator, operation, reader, target, reason) values ('maria', 'dead-letter.drop', 'trips', $1, $2)`;

const withdrawn = "trip.withdrawn.v1";
async function die(key: string, type = withdrawn): Promise<void> {
  await database.execute(parkSql, [key]);
  await database.execute(dieSql, [key, type]);
}

test("what has died is called for once, and says what failed and what can be done", async () => {
  await die("a");
  await die("b", "trip.booked.v1");
  await call();
  expect(await call()).toBe(0);
  expect(await waiting()).toEqual(["compensation-failed.trip.withdrawn.v1 a"]);
  const [task] = await listOpenTasks(database, { limit: 1 });
  expect(task?.what).toBe(
    "The trip is not paid back. trip.withdrawn.v1 failed 5 times: The bank is gone. Look at it with `dlq show trips/a trip.withdrawn.v1`. " +
      "Mend the cause and redrive it, or do by hand what it asks for and drop it; this task closes itself then.",
  );
});

test("what waits behind something else that died is called for, too", async () => {
  await die("a", "trip.booked.v1");
  await database.execute(waitSql, ["a", withdrawn]);
  await call();
  expect((await listOpenTasks(database, { limit: 1 }))[0]?.what).toContain("waits behind trip.booked.v1, which failed");
});

test("a task closes itself when the compensation is done, not while it is tried again; it dies again under the same task", async () => {
  await die("a");
  await call();
  await database.execute(redriveSql, ["a"]);
  await call();
  expect(await waiting()).toHaveLength(1);
  await die("a");
  expect(await call()).toBe(0);
  const [task] = await listOpenTasks(database, { limit: 2 });
  await database.execute(redriveSql, ["a"]);
  await database.execute(freeSql, ["a"]);
  await call();
  expect(await waiting()).toEqual([]);
  expect(await readTask(database, task?.taskId ?? "")).toMatchObject({
    ...{ closedBy: "trips", outcome: "It was taken after all." },
  });
});

test("dropped, it says by whom and why; closed by hand, it stays closed until it dies anew", async () => {
  await die("a");
  await call();
  const [task] = await listOpenTasks(database, { limit: 1 });
  await database.execute(redriveSql, ["a"]);
  await database.execute(freeSql, ["a"]);
  await database.execute(dropSql, [`a ${withdrawn}`, "paid back in cash"]);
  await call();
  expect(await readTask(database, task?.taskId ?? "")).toMatchObject({
    ...{ closedBy: "maria", outcome: "Its dead letter was dropped: paid back in cash." },
  });

  await die("b");
  await call();
  const [other] = await listOpenTasks(database, { limit: 1 });
  await closeTask(database, { taskId: other?.taskId ?? "", closedBy: "maria", outcome: "I have written to them." });
  expect(await call()).toBe(0);
  await database.execute(redriveSql, ["b"]);
  await die("b");
  expect(await call()).toBe(1);
});
