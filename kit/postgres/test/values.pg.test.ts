import {
  array,
  as,
  bigint,
  boolean,
  bytes,
  type Column,
  composedSql,
  type Database,
  double,
  instant,
  integer,
  json,
  lsn,
  nullable,
  snapshot,
  sql,
  text,
  uuid,
  writtenJson,
  xid8,
} from "@onsale/postgres";
import { type TestDatabase, testDatabase } from "@onsale/testing";
import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { content, noteSql } from "./shelf.ts";

let own: TestDatabase;
let database: Database;
beforeAll(async () => {
  own = await testDatabase(content);
  database = own.open("shelf");
});
afterAll(() => own.close());

/** Sends a value as a parameter of this kind and gives what comes back. */
async function roundTrip<Value>(column: Column<Value>, value: Value): Promise<unknown> {
  const text = `select $1::${column.type} as value`;
  const statement = composedSql(`values.${column.type}-${column.nullable}`, {
    takes: [column],
    gives: { value: nullable(column) },
    text,
  });
  const [row] = await database.query(statement, [value]);
  return row?.value;
}

const id = "0199a1b2-0000-7000-8000-00000000000f";

test.each<[Column<unknown>, unknown]>([
  [text, 'ä \\ " {,} 漢 null'],
  [text, ""],
  [boolean, false],
  [integer, -2_147_483_648],
  [bigint, Number.MAX_SAFE_INTEGER],
  [double, 0.1],
  [uuid, id],
  [bytes, Buffer.from([0, 1, 255, 92])],
  [instant, "2026-11-21T08:42:14.123Z"],
  [instant, "infinity"],
  [xid8, "18446744073709551615"],
  [snapshot, "10:20:11,15"],
  [lsn, "16/B374D848"],
  [json<unknown>(), { a: [1, null, "x"], b: { c: 'quote " brace }' } }],
  [json<unknown>(), "a string"],
  [json<unknown>(), [1, 2]],
  [writtenJson<unknown>(), { b: 1, a: [null, 'quote " brace }'] }],
  [array(writtenJson<unknown>()), [{ b: 1, a: "x" }, "b", [2]]],
  [array(text), ["a", 'b"c', "", "null", "{}", "\\"]],
  [array(text), []],
  [array(integer), [1, 2]],
  [array(bigint), [1, Number.MAX_SAFE_INTEGER]],
  [array(double), [0.5]],
  [array(boolean), [true, false]],
  [array(uuid), [id]],
  [array(instant), ["2026-11-21T08:42:14.123Z"]],
  [array(xid8), ["7"]],
  [array(bytes), [Buffer.from([0, 92, 255])]],
  [array(instant), ["infinity", "-infinity", "1999-12-31T23:59:59.999Z", "0001-01-01T00:00:00.000Z"]],
  [array(integer), [-2_147_483_648, 2_147_483_647, 0]],
  [array(bigint), [Number.MIN_SAFE_INTEGER, -1, 0, 2 ** 32, -(2 ** 32)]],
  [array(nullable(uuid)), [null, "ffffffff-ffff-ffff-ffff-ffffffffffff", id]],
  [array(nullable(instant)), [null, "2026-11-21T08:42:14.123Z"]],
  [array(nullable(boolean)), [true, null]],
  [array(json<unknown>()), [{ a: 1 }, "b", [2]]],
  [array(nullable(text)), ["a", null]],
  [array(nullable(bigint)), [null, 2]],
  [
    array(text),
    ["NULL", "nUlL", "null,null", " ", "a b", "{", "}", "\\N", "tab\tline\nend", "ünï€", "\u{1f3ab}", '\u0001"\\'],
  ],
])("%o comes back as it was sent: %j", async (column, value) => {
  expect(await roundTrip(column, value)).toEqual(value);
});

test("any texts come back from an array as they were sent", async () => {
  const words = fc.string({ unit: "binary" }).filter((word) => !word.includes("\u0000"));
  await fc.assert(
    fc.asyncProperty(fc.array(fc.option(words)), async (values) => {
      expect(await roundTrip(array(nullable(text)), values)).toEqual(values);
      expect(
        await roundTrip(
          array(json<unknown>()),
          values.filter((value) => value !== null),
        ),
      ).toEqual(values.filter((value) => value !== null));
    }),
  );
});

test("any numbers, moments and ids come back from an array as they were sent", async () => {
  const moments = fc.date({ min: new Date("0001-01-01"), max: new Date("9999-12-31"), noInvalidDate: true });
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.option(fc.maxSafeInteger())),
      fc.array(moments.map((moment) => moment.toISOString())),
      fc.array(fc.uuid()),
      async (numbers, instants, ids) => {
        expect(await roundTrip(array(nullable(bigint)), numbers)).toEqual(numbers);
        expect(await roundTrip(array(instant), instants)).toEqual(instants);
        expect(await roundTrip(array(uuid), ids)).toEqual(ids);
      },
    ),
  );
});

test("an array's value that has no binary form here is judged by PostgreSQL", async () => {
  const shout = id.toUpperCase().replaceAll("-", "");
  expect(await roundTrip(array(uuid), [shout])).toEqual([id]);
  expect(await roundTrip(array(instant), ["2026-11-21 10:42:14.5+02"])).toEqual(["2026-11-21T08:42:14.500Z"]);
  for (const wrong of ["", id.replace("f", "g"), `${id}0`, "0199a1b2_0000-7000-8000-00000000000f"])
    await expect(roundTrip(array(uuid), [id, wrong])).rejects.toMatchObject({ code: "22P02" });
  await expect(roundTrip(array(integer), [1.5])).rejects.toMatchObject({ code: "22P02" });
  await expect(roundTrip(array(integer), [2 ** 31])).rejects.toMatchObject({ code: "22003" });
  await expect(roundTrip(array(instant), ["2026-13-21T08:42:14.123Z"])).rejects.toMatchObject({ code: "22008" });
});

test("null goes and comes where it is declared", async () => {
  expect(await roundTrip(nullable(text), null)).toBeNull();
  expect(await roundTrip(nullable(json<unknown>()), null)).toBeNull();
});

test("a moment is UTC with milliseconds, whatever the digits and the server's time zone", async () => {
  const at = (moment: string) =>
    composedSql(`values.at-${moment}`, {
      takes: [],
      gives: { at: instant },
      text: `select '${moment}'::timestamptz as at`,
    });
  const read = async (moment: string) => (await database.query(at(moment), []))[0]?.at;
  expect(await read("2026-11-21 10:42:14.123999+02")).toBe("2026-11-21T08:42:14.123Z");
  expect(await read("2026-11-21 08:42:14+00")).toBe("2026-11-21T08:42:14.000Z");
  expect(await read("2026-11-21 08:42:14.5+00")).toBe("2026-11-21T08:42:14.500Z");
});

test("an integer that a number can't hold exactly throws instead of losing its last digit", async () => {
  const statement = sql("values.too-large", { takes: [], gives: { large: bigint } })`select 9007199254740993 as large`;
  await expect(database.query(statement, [])).rejects.toThrow("9007199254740993");
});

test("undefined, and null where none is declared, are refused before they are sent", async () => {
  await expect(database.execute(noteSql, ["a", undefined as never])).rejects.toThrow(
    "Parameter 2 of shelf.note is undefined",
  );
  await expect(database.execute(noteSql, [null as never, "b"])).rejects.toThrow("Parameter 1 of shelf.note is null");
  await expect(database.execute(noteSql, ["a"] as never)).rejects.toThrow("takes 2 parameters");
});

test("a null in a column that is not declared so is found in tests", async () => {
  const wrong = sql("values.wrong-null", { takes: [], gives: { note: as<"note">(text) } })`select null::text as note`;
  await expect(database.query(wrong, [])).rejects.toThrow("Column note of values.wrong-null is null");
});
