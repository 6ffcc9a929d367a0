import {
  asBytes,
  bigint,
  type Database,
  isUniqueViolation,
  nullable,
  type RowBytes,
  sql,
  text,
} from "@onsale/postgres";
import { type TestDatabase, testDatabase } from "@onsale/testing";
import type pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Exchange } from "../src/exchange.ts";
import { addSql, content, lockSql, put } from "./shelf.ts";

let own: TestDatabase;
/** Of one connection, so that each transaction finds what the one before has left there. */
let database: Database;
beforeAll(async () => {
  own = await testDatabase(content);
  database = own.open("shelf", { connections: 1 });
});
afterAll(() => own.close());

const addNewSql = sql("shelf.add-new", { takes: [text], gives: { sku: text } })`
  insert into shelf (sku, units) values ($1, 1) returning sku`;

const countSql = sql("shelf.count-to", { takes: [bigint], gives: { count: bigint } })`
  select $1::int8 as count`;

test("what one turn sends is answered once, and prepared and described but once on a connection", async () => {
  const wire = new RecordedWire();
  const send = (...names: string[]) => {
    const exchange = new Exchange();
    const answers = names.map((name) => exchange.add({ name, text: "select 1" }, []));
    exchange.submit(wire as unknown as pg.Connection);
    for (const _ of names) exchange.handleCommandComplete({ text: "SELECT 1" });
    exchange.handleReadyForQuery();
    return Promise.all(answers);
  };
  await send("one", "two");
  await send("two", "one", "one");
  const [first, again] = [
    ["close", "parse", "bind", "describe", "execute"],
    ["bind", "execute"],
  ];
  expect(wire.said).toEqual([first, first, "sync", again, again, again, "sync"].flat());
});

test("a statement whose first use on a connection failed is there for the next", async () => {
  await put(database, "there", 1);
  const again = database.transaction((tx) => tx.query(addNewSql, ["there"]));
  await expect(again).rejects.toSatisfy(isUniqueViolation);
  expect(await database.transaction((tx) => tx.query(addNewSql, ["new"]))).toEqual([{ sku: "new" }]);
});

test("nothing of a transaction that failed in the turn in which it sent is left on its connection", async () => {
  await put(database, "let go", 1);
  const failed = database.transaction((tx) => {
    void tx.query(lockSql, ["let go"]);
    throw new Error("changed my mind");
  });
  await expect(failed).rejects.toThrow("changed my mind");
  const other = own.open("shelf", { lockTimeoutMs: 50 });
  await expect(other.transaction((tx) => tx.query(lockSql, ["let go"]))).resolves.toHaveLength(1);
});

test("a value that can't be read fails its own statement, and none of those sent with it", async () => {
  await put(database, "beside", 1);
  const [before, unreadable, after] = await database.transaction((tx) =>
    Promise.allSettled([
      tx.query(addSql, ["beside", 1]),
      tx.query(countSql, [2 ** 60]),
      tx.query(addSql, ["beside", 1]),
    ]),
  );
  expect(before).toMatchObject({ value: [{ units: 2 }] });
  expect(unreadable).toMatchObject({ reason: expect.any(RangeError) });
  expect(after).toMatchObject({ value: [{ units: 3 }] });
});

const wordsSql = sql("shelf.words", { takes: [bigint], gives: { word: text, nothing: nullable(text) } })`
  select repeat('wörd', 1 + number::int % 100) as word, null::text as nothing from generate_series(1, $1::int8) as number`;

test("rows are given as the server wrote them, beside others that are read", async () => {
  const ask = (count: number) => database.query(asBytes(wordsSql), [count]);
  const rows = 5_000;
  const [first, read, again, none] = await Promise.all([ask(rows), database.query(countSql, [7]), ask(rows), ask(0)]);
  expect(first.map(textsOf)).toEqual(wordsOf(rows));
  expect(read).toEqual([{ count: 7 }]);
  expect(again.map(textsOf)).toEqual(wordsOf(rows));
  expect(none).toEqual([]);
  expect(await database.query(wordsSql, [1])).toEqual([{ word: "wördwörd", nothing: null }]);
});

test("a statement that failed in the middle of its rows takes none of the next", async () => {
  const [failed, whole] = await Promise.allSettled([
    database.query(asBytes(quotientsSql), []),
    database.query(asBytes(wordsSql), [3]),
  ]);
  expect(failed).toMatchObject({ status: "rejected", reason: { code: "22012" } });
  expect(whole.status === "fulfilled" && whole.value.map(textsOf)).toEqual(wordsOf(3));
});

test("in a transaction no rows are given as bytes", async () => {
  const asked = database.transaction((tx) => tx.query(asBytes(wordsSql), [1]));
  await expect(asked).rejects.toThrow("shelf.words gives its rows as bytes only outside of transactions.");
});

const quotientsSql = sql("shelf.quotients", { takes: [], gives: { quotient: bigint } })`
  select 1 / (100 - number) as quotient from generate_series(1::int8, 200) as number`;

const wordsOf = (count: number): (string | null)[][] =>
  Array.from({ length: count }, (_, index) => ["wörd".repeat(1 + ((index + 1) % 100)), null]);

/** What PostgreSQL calls DataRow, past its header. */
function textsOf({ bytes, start, end }: RowBytes): (string | null)[] {
  const texts: (string | null)[] = [];
  let at = start + 2;
  for (let column = 0; column < bytes.readUInt16BE(start); column++) {
    const length = bytes.readInt32BE(at);
    at += 4;
    texts.push(length < 0 ? null : bytes.toString("utf8", at, at + length));
    at += Math.max(0, length);
  }
  expect(at).toBe(end);
  return texts;
}

class RecordedWire {
  readonly said: string[] = [];
  readonly stream = { cork() {}, uncork() {} };
  readonly close = () => this.said.push("close");
  readonly parse = () => this.said.push("parse");
  readonly bind = () => this.said.push("bind");
  readonly describe = () => this.said.push("describe");
  readonly execute = () => this.said.push("execute");
  readonly sync = () => this.said.push("sync");
}
