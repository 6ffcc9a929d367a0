import { readdir } from "node:fs/promises";
import type { Database, Statement } from "@onsale/postgres";
import { type TestDatabase, testDatabase } from "@onsale/testing";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { planOf, readWhole } from "../src/plans.ts";
import { readHouse } from "../src/source.ts";
import { statementsOf } from "../src/sql.ts";
import type { WholeShop } from "./whole-shop.ts";

// What was declared is known to a whole process, which has run other tests, with services and statements of their own.
vi.resetModules();
const { bigint, composedSql, declaredStatements, findMisdeclared, integer, openDatabase, openDescriber, sql, text } =
  await import("@onsale/postgres");
const { openWholeShop, sell } = await import("./whole-shop.ts");
// What this shop does not open by itself declares its statements, too.
await import("@onsale/messaging/kafka");
await import("@onsale/messaging/operations");
await import("@onsale/lock");

const root = new URL("../../../", import.meta.url);

let own: TestDatabase;
let shop: WholeShop;
let statements: readonly Statement[];

// One batch of orders goes through every service, so that each has rows in its tables and declares all it ever says,
// the kit's statements over other services' outboxes included.
beforeAll(async () => {
  own = await testDatabase({ schema: "tidy", sets: [] });
  shop = await openWholeShop(own.adminUrl);
  await sell(shop, 1_000);
  statements = declaredStatements().filter(({ name }) => !/^(testing|explained_\d+|planted)\./.test(name));
}, 180_000);

afterAll(async () => {
  await shop.stop();
  await own.close();
});

/** The schemas in which a statement runs: its service's, or for the kit's statements each service's. */
const schemasOf = ({ name }: Statement): readonly string[] => {
  const [owner = ""] = name.split(".");
  return shop.services.includes(owner) ? [owner] : shop.services;
};

test("every service is composed, and every statement in the code was declared", async () => {
  expect([...shop.services].sort()).toEqual((await readdir(new URL("services/", root))).sort());
  const house = await readHouse(root);
  const written = house.sources
    .filter(({ path }) => /^(services|kit)\/[^/]+\/src\//.test(path) && !path.startsWith("kit/testing/"))
    .flatMap(statementsOf);
  const declared = new Set(statements.map(({ name }) => name));
  expect(written.map(({ name }) => name).filter((name) => !declared.has(name))).toEqual([]);
  expect(written.length).toBeGreaterThan(80);
});

describe("what a statement takes and gives is what PostgreSQL says", () => {
  test("for every statement in the code", async () => {
    const faults = new Set<string>();
    for (const schema of shop.services) {
      await using describer = await openDescriber({ url: own.adminUrl, schema });
      const said = statements.filter((statement) => schemasOf(statement).includes(schema));
      for (const fault of await findMisdeclared(describer, said)) faults.add(fault);
    }
    expect([...faults]).toEqual([]);
  });

  test("a wrong one is caught", async () => {
    const wrong = composedSql("planted.wrong", {
      takes: [integer],
      gives: { sku: bigint, gone: text },
      text: "select sku, held from inventory.stock where sku = $1",
    });
    await using describer = await openDescriber({ url: own.adminUrl, schema: "inventory" });
    expect(await findMisdeclared(describer, [wrong])).toEqual([
      "planted.wrong: parameter 1 is text, declared int4",
      "planted.wrong: column gone is declared and not given",
      "planted.wrong: column sku is text, declared int8",
      "planted.wrong: column held is not declared",
    ]);
  });
});

/** What every order passes, several times over. */
const hot = [
  "http.claim-keys",
  "orders.read-products",
  "orders.insert-orders",
  "orders.insert-lines",
  "orders.insert-history",
  "orders.lock-orders",
  "orders.update-orders",
  "inventory.allocated",
  "inventory.lock-shelves",
  "inventory.change-stock",
  "inventory.insert-allocations",
  "inventory.insert-holds",
  "inventory.record-movements",
  "inventory.lock-allocations",
  "inventory.holds-of",
  "inventory.step-allocations",
  "inventory.lock-expired",
  "wallet.lock-balances",
  "wallet.open-lots",
  "wallet.insert-order-points",
  "wallet.lock-order-points",
  "wallet.update-balances",
  "wallet.update-lots",
  "wallet.record-movements",
  "messaging.insert-outbox-online",
  "messaging.claim-inbox",
  "messaging.read-arrivals-orders-online",
  "messaging.read-stragglers-orders-online",
  "saga.arm-deadlines",
  "saga.take-due-deadlines",
];

// Tables that stay small however much is sold, so that reading them whole is as good as any other way. The last two grow with
// faults and with what operators do about them, and only operators ask for them.
const small = new Set([
  "reader_cursor",
  "outbox_partition",
  "outbox_reader",
  "location",
  "parked_key",
  "parked_event",
  "dead_letter",
  "redrive",
]);

describe("no statement reads a whole table that grows", () => {
  const opened: Database[] = [];
  // A table of one page is best read whole. Forty SKUs are one, as soon as somebody has counted them.
  beforeAll(async () => {
    await open("inventory").execute(fillShelvesSql, []);
  });
  const open = (schema: string): Database => {
    const database = openDatabase({
      ...{ url: own.adminUrl, schema, role: `onsale_${schema}`, connections: 1, applicationName: "tidy" },
    });
    opened.push(database);
    return database;
  };
  afterAll(async () => {
    await Promise.all(opened.map((database) => database.close()));
  });

  const scansOf = async (statement: Statement, schema: string): Promise<string[]> => {
    const database = opened.find(({ home }) => home.schema === schema) ?? open(schema);
    const plan = await planOf(database, statement).catch((error) => {
      throw new Error(`${statement.name} can't be explained in ${schema}.`, { cause: error });
    });
    return readWhole(plan)
      .filter((table) => !small.has(table))
      .map((table) => `${statement.name} reads all of ${table}`);
  };

  test.each(hot)("%s", async (name) => {
    const statement = statements.find((it) => it.name === name);
    if (!statement) throw new Error(`There is no statement ${name}.`);
    for (const schema of schemasOf(statement)) expect(await scansOf(statement, schema)).toEqual([]);
  });

  test("nor does any other", async () => {
    const scans: string[] = [];
    for (const statement of statements) {
      const [schema = ""] = schemasOf(statement);
      if (isExplainable(statement)) scans.push(...(await scansOf(statement, schema)));
    }
    expect(scans).toEqual([]);
  });

  test("one that does is caught", async () => {
    const everything = composedSql("planted.all", { takes: [], gives: {}, text: "select * from inventory.movement" });
    const unindexed = composedSql("planted.by-sku", {
      ...{ takes: [text], gives: {} },
      text: "select * from inventory.movement where sku = $1 order by position",
    });
    expect(await scansOf(everything, "inventory")).toEqual(["planted.all reads all of movement"]);
    expect(await scansOf(unindexed, "inventory")).toEqual(["planted.by-sku reads all of movement"]);
  });

  test("the tables had rows", async () => {
    const [counts] = await open("inventory").query(countSql, []);
    expect(counts).toEqual({ movements: 3_040, allocations: 1_000 });
  });
});

const countSql = sql("testing.count-inventory", { takes: [], gives: { movements: bigint, allocations: bigint } })`
  select (select count(*) from inventory.movement) as movements, (select count(*) from inventory.allocation) as allocations`;

const fillShelvesSql = sql("testing.fill-shelves", { takes: [], gives: {} })`
  insert into inventory.stock (sku) select 'unsold-' || number from generate_series(1, 5000) as number`;

/** Only queries have plans. */
const isExplainable = ({ text }: Statement): boolean => /^\s*(select|insert|update|delete|with)\b/i.test(text);
