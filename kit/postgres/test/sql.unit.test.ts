import { bigint, composedSql, declaredStatements, identifier, integer, sql, text } from "@onsale/postgres";
import { expect, test } from "vitest";

test("a statement keeps its name, its text and what it takes and gives", () => {
  const statement = sql("unit.first", {
    takes: [text],
    gives: { units: integer },
  })`select units from shelf where sku = $1`;
  expect(statement).toMatchObject({ name: "unit.first", text: "select units from shelf where sku = $1" });
  expect(declaredStatements()).toContain(statement);
});

test("two different statements can't have one name: the server would run the first for both", () => {
  composedSql("unit.twice", { takes: [], gives: {}, text: "select 1" });
  expect(() => composedSql("unit.twice", { takes: [], gives: {}, text: "select 2" })).toThrow("unit.twice");
  expect(() => composedSql("unit.twice", { takes: [], gives: {}, text: "select 1" })).not.toThrow();
  expect(() => composedSql("unit.twice", { takes: [], gives: { one: bigint }, text: "select 1" })).toThrow(
    "unit.twice",
  );
});

test("a template with a value in it does not compile, and throws where it was forced", () => {
  const declare = sql("unit.spliced", { takes: [], gives: {} }) as unknown as (
    text: TemplateStringsArray,
    ...values: unknown[]
  ) => unknown;
  expect(() => declare`select ${"1; drop table shelf"}`).toThrow("unit.spliced");
});

test("a name that PostgreSQL would cut off is refused: cut names collide", () => {
  expect(() => sql(`unit.${"long".repeat(20)}`, { takes: [], gives: {} })`select 1`).toThrow("63");
});

test.each(["Shelf", "1st", "a-b", "a b", 'a"b', "a;b", "", "é", `a${"b".repeat(63)}`])(
  "%j is not a plain identifier",
  (name) => {
    expect(() => identifier(name)).toThrow("identifier");
  },
);

test("a plain identifier is given back as it is", () => {
  expect(identifier("order_line2")).toBe("order_line2");
});
