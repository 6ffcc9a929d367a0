import {
  array,
  bigint,
  composedSql,
  type Describer,
  declaredStatements,
  findMisdeclared,
  type Gives,
  integer,
  json,
  nullable,
  openDescriber,
  type Takes,
  text,
} from "@onsale/postgres";
import { type TestDatabase, testDatabase } from "@onsale/testing";
import { afterAll, beforeAll, expect, test } from "vitest";
import * as shelf from "./shelf.ts";

let own: TestDatabase;
let describer: Describer;
beforeAll(async () => {
  own = await testDatabase(shelf.content);
  describer = await openDescriber({ url: own.adminUrl, schema: "shelf" });
});
afterAll(async () => {
  await describer.close();
  await own.close();
});

let count = 0;
const declare = (text: string, takes: Takes, gives: Gives) =>
  composedSql(`describe.${++count}`, { takes, gives, text });
const faultsOf = (text: string, takes: Takes, gives: Gives) =>
  findMisdeclared(describer, [declare(text, takes, gives)]);

test("the statements of the shelf are declared as they are", async () => {
  const exported = new Set<unknown>(Object.values(shelf));
  const ours = declaredStatements().filter((statement) => exported.has(statement));
  expect(ours.length).toBeGreaterThan(5);
  expect(await findMisdeclared(describer, ours)).toEqual([]);
});

test("PostgreSQL tells parameters and columns without running the statement", async () => {
  const described = await describer.describe({ text: "delete from shelf where sku = any($1) returning units, note" });
  expect(described).toEqual({
    takes: ["_text"],
    gives: [
      { name: "units", type: "int4" },
      { name: "note", type: "text" },
    ],
  });
});

test("a statement without parameters and columns takes and gives nothing", async () => {
  expect(await describer.describe({ text: "delete from shelf" })).toEqual({ takes: [], gives: [] });
});

test("null or not makes no difference to the type", async () => {
  const gives = { note: nullable(text), data: nullable(json<unknown>()) };
  expect(await faultsOf("select note, '{}'::jsonb as data from shelf", [], gives)).toEqual([]);
});

test.each<[string, Takes, Gives, string]>([
  ["select units from shelf where sku = $1", [integer], { units: integer }, "parameter 1 is text, declared int4"],
  ["select units from shelf where sku = any($1)", [text], { units: integer }, "parameter 1 is _text, declared text"],
  ["select units from shelf", [], { units: bigint }, "column units is int4, declared int8"],
  ["select units from shelf", [text], { units: integer }, "takes 0 parameters, 1 are declared"],
  ["select sku, units from shelf", [], { units: integer }, "column sku is not declared"],
  ["select units from shelf", [], { units: integer, sku: text }, "column sku is declared and not given"],
  ["select units, 1 as units from shelf", [], { units: integer }, "two columns have one name"],
  ["select * from shelf where $1", [array(text)], { sku: text }, "parameter 1 is bool, declared _text"],
  ["select price from shelf", [], {}, 'column "price" does not exist'],
  ["select from shelves", [], {}, 'relation "shelves" does not exist'],
])("%s is found to be misdeclared", async (text, takes, gives, fault) => {
  expect((await faultsOf(text, takes, gives)).join("\n")).toContain(fault);
});

test("after a statement that doesn't parse the next one is described", async () => {
  await expect(describer.describe({ text: "nonsense" })).rejects.toMatchObject({ code: "42601" });
  expect((await describer.describe({ text: "select sku from shelf" })).gives).toEqual([{ name: "sku", type: "text" }]);
});
