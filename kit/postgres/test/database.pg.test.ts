import {
  type Database,
  databaseNow,
  integer,
  isLockTimeout,
  isRetryable,
  isUnavailable,
  isUniqueViolation,
  SwallowedFailureError,
  sql,
  type Transaction,
  TransactionEndedError,
  text,
} from "@onsale/postgres";
import { type TestDatabase, testDatabase, waitFor } from "@onsale/testing";
import { afterAll, beforeAll, expect, test } from "vitest";
import { addSql, content, failSql, lockSql, put, sessionOf, unitsOf } from "./shelf.ts";

let own: TestDatabase;
let database: Database;
beforeAll(async () => {
  own = await testDatabase(content);
  database = own.open("shelf");
});
afterAll(() => own.close());

const insertSql = sql("shelf.insert", { takes: [text, integer], gives: {} })`
  insert into shelf (sku, units) values ($1, $2)`;

const waitingSql = sql("shelf.waiting-for-lock", { takes: [integer], gives: { waiting: integer } })`
  select count(*)::int as waiting from pg_stat_activity where pid = $1 and wait_event_type = 'Lock'`;

test("what a transaction wrote is there after it, and nothing of one that threw", async () => {
  await database.transaction((tx) => put(tx, "kept", 1));
  const failed = database.transaction(async (tx) => {
    await put(tx, "lost", 1);
    throw new Error("changed my mind");
  });
  await expect(failed).rejects.toThrow("changed my mind");
  expect(await unitsOf(database, "kept")).toBe(1);
  expect(await unitsOf(database, "lost")).toBeUndefined();
});

test("statements sent together run in the order in which they were sent, inside the transaction", async () => {
  await put(database, "together", 0);
  const units = await database.transaction(async (tx) => {
    const rows = await Promise.all([1, 2, 3].map((units) => tx.query(addSql, ["together", units])));
    return rows.flat().map((row) => row.units);
  });
  expect(units).toEqual([1, 3, 6]);
});

test("a finished transaction throws when it is used, so a forgotten await can't write into the next one", async () => {
  let leaked: Transaction | undefined;
  await database.transaction(async (tx) => {
    leaked = tx;
  });
  await expect(leaked?.query(addSql, ["kept", 1])).rejects.toThrow(TransactionEndedError);
  expect(() => leaked?.afterCommit(() => undefined)).toThrow(TransactionEndedError);
  await expect(
    database.transaction(async (tx) => {
      leaked = tx;
      throw new Error("rolled back");
    }),
  ).rejects.toThrow("rolled back");
  await expect(leaked?.execute(addSql, ["kept", 1])).rejects.toThrow(TransactionEndedError);
});

test("a statement that was not awaited still belongs to its transaction", async () => {
  await put(database, "unawaited", 0);
  await database.transaction(async (tx) => {
    void tx.query(addSql, ["unawaited", 5]);
  });
  expect(await unitsOf(database, "unawaited")).toBe(5);
});

test("a failure that nobody looked at fails the commit, and is its cause", async () => {
  const swallowing = database.transaction(async (tx) => {
    await put(tx, "swallowed", 1);
    await tx.query(failSql, [0]).catch(() => undefined);
  });
  await expect(swallowing).rejects.toThrow(SwallowedFailureError);
  await expect(swallowing).rejects.toMatchObject({ cause: { code: "22012" } });
  expect(await unitsOf(database, "swallowed")).toBeUndefined();
});

test("a failure of a statement that was not awaited fails the commit too, and does not end the process", async () => {
  const forgetful = database.transaction(async (tx) => {
    void tx.query(failSql, [0]);
  });
  await expect(forgetful).rejects.toThrow(SwallowedFailureError);
});

test("a refused BEGIN leaves no statement to commit by itself", async () => {
  const refused = database.transaction((tx) => put(tx, "no begin", 1), { isolation: "no such level" as never });
  await expect(refused).rejects.toMatchObject({ code: "42601" });
  expect(await unitsOf(database, "no begin")).toBeUndefined();
});

test("what was registered for after the commit runs then, in order, and never after a rollback", async () => {
  const heard: string[] = [];
  await database.transaction(async (tx) => {
    tx.afterCommit(() => heard.push("first"));
    tx.afterCommit(() => heard.push("second"));
    expect(heard).toEqual([]);
  });
  await database
    .transaction(async (tx) => {
      tx.afterCommit(() => heard.push("rolled back"));
      await tx.query(failSql, [0]);
    })
    .catch(() => undefined);
  expect(heard).toEqual(["first", "second"]);
});

test("two transactions that deadlock both commit in the end: the one that PostgreSQL chose runs again", async () => {
  await Promise.all([put(database, "left", 0), put(database, "right", 0)]);
  const bothHoldOne = meeting(2);
  let runs = 0;
  const cross = (first: string, second: string) =>
    database.transaction(async (tx) => {
      runs++;
      await tx.query(addSql, [first, 1]);
      await bothHoldOne();
      await tx.query(addSql, [second, 1]);
    });
  await Promise.all([cross("left", "right"), cross("right", "left")]);
  expect(await unitsOf(database, "left")).toBe(2);
  expect(await unitsOf(database, "right")).toBe(2);
  expect(runs).toBe(3);
});

test("a serialization failure runs the whole of the work again, and a bounded number of times", async () => {
  await put(database, "contended", 0);
  let runs = 0;
  const hopeless = database.transaction(
    async (tx) => {
      runs++;
      await unitsOf(tx, "contended");
      await database.query(addSql, ["contended", 1]);
      await tx.query(addSql, ["contended", 1]);
    },
    { isolation: "repeatable read", attempts: 4 },
  );
  await expect(hopeless).rejects.toSatisfy(isRetryable);
  expect(runs).toBe(4);
  expect(await unitsOf(database, "contended")).toBe(4);
});

test("a violated constraint is thrown as it is, and its connection serves the next transaction", async () => {
  const single = own.open("shelf", { connections: 1 });
  await put(single, "once", 1);
  const session = await single.transaction(sessionOf);
  const again = single.transaction((tx) => tx.execute(insertSql, ["once", 1]));
  await expect(again).rejects.toSatisfy(isUniqueViolation);
  expect(await single.transaction(sessionOf)).toBe(session);
});

const neverBeforeSql = sql("shelf.never-before", { takes: [text], gives: { units: integer } })`
  select units from shelf where sku = $1 and units > 0`;

test("of statements sent together every one fails with what failed, not with the transaction being aborted", async () => {
  await put(database, "taken", 1);
  const failures = await database
    .transaction(async (tx) => {
      const sent = [
        tx.execute(insertSql, ["taken", 1]),
        tx.query(addSql, ["taken", 1]),
        tx.query(neverBeforeSql, ["taken"]),
        tx.query(neverBeforeSql, ["taken"]),
      ];
      throw (await Promise.allSettled(sent)).map((it) => it.status === "rejected" && it.reason);
    })
    .catch((reasons) => reasons);
  expect(failures).toHaveLength(4);
  for (const failure of failures) expect(isUniqueViolation(failure)).toBe(true);
});

test("a lock that is not to be had in time is told as that", async () => {
  const impatient = own.open("shelf", { lockTimeoutMs: 50 });
  await put(database, "locked", 1);
  await database.transaction(async (tx) => {
    await tx.query(lockSql, ["locked"]);
    await expect(impatient.transaction((other) => other.query(lockSql, ["locked"]))).rejects.toSatisfy(isLockTimeout);
  });
});

test("a statement over its time is cancelled by the server; the transaction is gone, the connection stays", async () => {
  const hasty = own.open("shelf", { statementTimeoutMs: 100, connections: 1 });
  await put(hasty, "slow", 1);
  const session = await hasty.transaction(sessionOf);
  await database.transaction(async (tx) => {
    await tx.query(lockSql, ["slow"]);
    await expect(hasty.transaction((other) => other.query(lockSql, ["slow"]))).rejects.toSatisfy(isUnavailable);
  });
  expect(await hasty.transaction(sessionOf)).toBe(session);
});

test("a pool without a free connection says so in time, and serves again when one is free", async () => {
  const narrow = own.open("shelf", { connections: 1 });
  const [entered, leave] = [signal(), signal()];
  const holding = narrow.transaction(async (tx) => {
    await sessionOf(tx);
    entered.give();
    await leave.given;
  });
  await entered.given;
  await expect(narrow.transaction(sessionOf)).rejects.toSatisfy(isUnavailable);
  // Single statements have a line of their own.
  await expect(databaseNow(narrow)).resolves.toMatch(/Z$/);
  leave.give();
  await holding;
  await expect(narrow.transaction(sessionOf)).resolves.toBeGreaterThan(0);
});

test("single statements of many callers share one connection, and a failing one does not harm its neighbours", async () => {
  const sessions = await Promise.all(Array.from({ length: 50 }, () => sessionOf(database)));
  expect(new Set(sessions).size).toBe(1);
  const mixed = await Promise.allSettled([1, 0, 2].map((divisor) => database.query(failSql, [divisor])));
  expect(mixed.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
});

test("a table that changed under a prepared statement costs one failure on the line and none in a transaction", async () => {
  const everythingSql = sql("shelf.everything", { takes: [], gives: {} })`select * from shelf`;
  const both = own.open("shelf", { connections: 1 });
  await both.query(everythingSql, []);
  await both.transaction((tx) => tx.query(everythingSql, []));
  const admin = own.open("shelf", { role: "onsale" });
  await admin.execute(sql("shelf.widen", { takes: [], gives: {} })`alter table shelf add column colour text`, []);
  await expect(both.transaction((tx) => tx.query(everythingSql, []))).resolves.toBeDefined();
  await expect(both.query(everythingSql, [])).rejects.toSatisfy(isUnavailable);
  await expect(both.query(everythingSql, [])).resolves.toBeDefined();
});

test("the schema's owner works in its schema only, by its role, with the plans pinned", async () => {
  const shownSql = sql("shelf.session-settings", {
    takes: [],
    gives: { role: text, path: text, seqscan: text, zone: text },
  })`select current_user::text as role, current_setting('search_path') as path,
    current_setting('enable_seqscan') as seqscan, current_setting('TimeZone') as zone`;
  const expected = { role: "onsale_shelf", path: "shelf", seqscan: "off", zone: "UTC" };
  expect(await database.query(shownSql, [])).toEqual([expected]);
  expect(await database.transaction((tx) => tx.query(shownSql, []))).toEqual([expected]);
  const createSql = sql("shelf.create", { takes: [], gives: {} })`create table shelf.more (id int)`;
  await expect(database.execute(createSql, [])).rejects.toMatchObject({ code: "42501" });
});

test("closing waits for what is under way; afterwards everything is told as unavailable", async () => {
  const closing = own.open("shelf");
  const [entered, leave] = [signal(), signal()];
  const working = closing.transaction(async (tx) => {
    await put(tx, "closing", 1);
    entered.give();
    await leave.given;
  });
  await entered.given;
  const closed = closing.close();
  leave.give();
  await Promise.all([working, closed]);
  expect(await unitsOf(database, "closing")).toBe(1);
  await expect(closing.transaction(sessionOf)).rejects.toSatisfy(isUnavailable);
  await expect(databaseNow(closing)).rejects.toSatisfy(isUnavailable);
});

test("closing twice is closing once", async () => {
  const twice = own.open("shelf");
  await databaseNow(twice);
  await Promise.all([twice.close(), twice.close()]);
  await expect(twice.close()).resolves.toBeUndefined();
});

test("closing does not wait for ever for a statement that waits for a lock", async () => {
  const [stuck, admin] = [own.open("shelf"), own.open("shelf", { role: "onsale" })];
  await put(database, "stuck", 1);
  await database.transaction(async (tx) => {
    await tx.query(lockSql, ["stuck"]);
    let session = 0;
    const waiting = stuck.transaction(async (other) => {
      session = await sessionOf(other);
      await other.query(lockSql, ["stuck"]);
    });
    const failed = expect(waiting).rejects.toSatisfy(isUnavailable);
    await waitFor(async () => (await admin.query(waitingSql, [session]))[0]?.waiting === 1);
    await stuck.close();
    await failed;
  });
});

/** Something that one side gives and the other waits for. */
function signal(): { give(): void; readonly given: Promise<void> } {
  const { promise, resolve } = Promise.withResolvers<void>();
  return { give: resolve, given: promise };
}

/** Resolves for everybody when so many have come; who comes later passes. */
function meeting(size: number): () => Promise<void> {
  const all = signal();
  let come = 0;
  return () => {
    if (++come === size) all.give();
    return all.given;
  };
}
