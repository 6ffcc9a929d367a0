import { describe, expect, test } from "vitest";
import { consoles, environment, sleepingTests, timeAndChance } from "../src/calls.ts";
import { alarmsExplained, documentsNamed, linksLead, metricsExist } from "../src/documents.ts";
import { fileNames, noBarrels, oneValue, testNames } from "../src/entries.ts";
import { rules } from "../src/index.ts";
import { language, promises } from "../src/language.ts";
import { longestFiles, longestFunctions } from "../src/sizes.ts";
import { type House, isSource, packageOf, parse, type Rule } from "../src/source.ts";
import { durability, sqlInItsPlace, statementNames } from "../src/sql.ts";
import { cycles, packageGraph, walls } from "../src/walls.ts";

const manifest = (name: string, dependencies: readonly string[] = [], devDependencies: readonly string[] = []) =>
  JSON.stringify({
    name,
    exports: { ".": "./src/index.ts" },
    dependencies: Object.fromEntries(dependencies.map((it) => [it, "1"])),
    devDependencies: Object.fromEntries(devDependencies.map((it) => [it, "1"])),
  });

const everything = ["@onsale/messaging", "@onsale/http", "@onsale/contracts", "@onsale/orders", "typebox"];
const packages = [
  packageOf("kit/messaging/package.json", manifest("@onsale/messaging", everything)),
  packageOf("kit/http/package.json", manifest("@onsale/http", everything)),
  packageOf("contracts/package.json", manifest("@onsale/contracts", everything)),
  packageOf("services/orders/package.json", manifest("@onsale/orders", everything)),
  packageOf("services/payments/package.json", manifest("@onsale/payments", everything)),
  packageOf("apps/server/package.json", manifest("@onsale/server", everything, ["undici"])),
  packageOf("tools/tidy/package.json", manifest("@onsale/tidy", everything, ["rolldown"])),
];

/** A house of the files given as path and text. */
function house(files: Readonly<Record<string, string>>): House {
  const texts = Object.entries(files).map(([path, text]) => ({ path, text }));
  const parsed = texts.filter(({ path }) => path.endsWith(".ts")).map(({ path, text }) => parse(path, text));
  return {
    sources: parsed.filter(isSource),
    unparsed: parsed.filter((it) => "what" in it),
    texts: texts.filter(({ path }) => !path.endsWith(".ts")),
    packages,
    rootDevDependencies: ["vitest"],
  };
}

/** Plants a file and returns what the rule says of it, without the path. */
const planted = (rule: Rule, path: string, text: string): string[] =>
  rule(house({ [path]: text })).map(({ line, what }) => `${line}: ${what}`);

describe("imports go one way", () => {
  test.each([
    ["kit/messaging/src/a.ts", `import { x } from "@onsale/contracts/ids";`, "kit may not import contracts"],
    ["kit/messaging/src/a.ts", `import type { X } from "@onsale/orders";`, "kit may not import services"],
    ["kit/messaging/test/a.unit.test.ts", `import { orders } from "@onsale/orders";`, "kit may not import services"],
    ["contracts/src/a.ts", `import { x } from "@onsale/http";`, "they may know only @onsale/messaging"],
    ["contracts/src/a.ts", `export * from "@onsale/orders";`, "contracts may not import services"],
    ["services/payments/src/a.ts", `import { orders } from "@onsale/orders";`, "services meet only in contracts"],
    ["services/payments/src/a.ts", `export { orders } from "@onsale/orders";`, "services meet only in contracts"],
    ["services/payments/src/a.ts", `const o = await import("@onsale/orders");`, "services meet only in contracts"],
    ["services/payments/src/a.ts", `type O = import("@onsale/orders").Order;`, "services meet only in contracts"],
    [
      "services/payments/test/a.unit.test.ts",
      `import { orders } from "@onsale/orders";`,
      "services meet only in contracts",
    ],
    ["services/orders/src/a.ts", `import { serve } from "@onsale/server";`, "services may not import apps"],
    ["apps/server/src/a.ts", `import { rules } from "@onsale/tidy";`, "apps may not import tools"],
    [
      "services/orders/src/a.ts",
      `import { x } from "../../payments/src/money.ts";`,
      "reaches out of services/orders by path",
    ],
    ["services/orders/src/a.ts", `import { x } from "./money";`, "name the file with its extension"],
    ["services/orders/src/a.ts", `import { x } from "@onsale/orders";`, "import files of @onsale/orders by path"],
    ["services/orders/src/a.ts", `import { x } from "left-pad";`, "left-pad is not declared in services/orders"],
    ["services/orders/src/a.ts", `import { x } from "@scope/pad/deep.js";`, "@scope/pad is not declared"],
    ["services/orders/src/a.ts", `import { test } from "vitest";`, "vitest is not declared"],
    ["apps/server/src/a.ts", `import { x } from "undici";`, "undici is not declared"],
    ["services/orders/src/a.ts", `import fs from "fs";`, "import node:fs by its full name"],
  ])("%s: %s", (path, text, complaint) => {
    const faults = planted(walls, path, text).filter((it) => it.includes(complaint));
    expect(faults).toEqual([expect.stringMatching(/^1: /)]);
  });

  test.each([
    ["kit/messaging/src/a.ts", `import { x } from "@onsale/http";`],
    ["contracts/src/a.ts", `import { x } from "@onsale/messaging"; import { Type } from "typebox";`],
    [
      "services/orders/src/a.ts",
      `import { x } from "@onsale/contracts/ids"; import { y } from "./b.ts"; import "node:fs";`,
    ],
    ["services/orders/test/a.unit.test.ts", `import { t } from "vitest"; import { d } from "@onsale/testing";`],
    ["apps/server/src/a.ts", `import { orders } from "@onsale/orders";`],
    ["apps/server/test/a.unit.test.ts", `import { request } from "undici";`],
    ["tools/tidy/src/a.ts", `import { parse } from "rolldown/utils"; import { orders } from "@onsale/orders";`],
    ["services/orders/src/a.ts", `const text = 'import { x } from "@onsale/payments"'; // import "@onsale/payments"`],
  ])("%s may: %s", (path, text) => {
    expect(planted(walls, path, text)).toEqual([]);
  });

  test("packages that need each other", () => {
    const circle = {
      "kit/messaging/src/a.ts": `import { x } from "@onsale/http";`,
      "kit/http/src/a.ts": `import type { y } from "@onsale/messaging";`,
      "kit/http/test/a.unit.test.ts": `import { z } from "@onsale/testing";`,
    };
    expect(cycles(house(circle)).map(({ what }) => what)).toEqual([
      "imports in a circle: @onsale/messaging -> @onsale/http -> @onsale/messaging",
      "imports in a circle: @onsale/http -> @onsale/messaging -> @onsale/http",
    ]);
    expect(packageGraph(house(circle)).get("@onsale/http")).toEqual(["@onsale/messaging"]);
  });
});

describe("SQL in its place", () => {
  test.each([
    ["services/orders/src/place-order.ts", 'const a = "select id from orders.placed";'],
    ["services/orders/src/routes.ts", "await run(`insert into orders.placed values ($1)`);"],
    ["services/orders/src/routes.ts", "await run(`\n  update orders.placed set state = $1`);"],
    ["services/orders/src/jobs.ts", "await run(`delete from orders.placed where id = $1`);"],
    ["apps/server/src/compose.ts", 'await run("create table x (y int)");'],
    ["apps/server/src/compose.ts", "const s = `with old as (select 1) select * from old`;"],
    ["services/orders/src/place-order.ts", 'import { sql } from "@onsale/postgres";'],
    ["apps/server/src/compose.ts", 'import pg from "pg";'],
    ["contracts/src/orders.ts", 'const a = "truncate orders";'],
  ])("%s: %s", (path, text) => {
    expect(planted(sqlInItsPlace, path, text)).not.toEqual([]);
  });

  test.each([
    ["services/orders/src/store/order.ts", 'import { sql } from "@onsale/postgres"; const a = "select 1 from b";'],
    ["services/orders/test/a.pg.test.ts", 'const a = "select id from orders.placed";'],
    ["apps/cli/src/audit/stock.ts", 'const a = "select id from orders.placed"; import pg from "pg";'],
    [
      "services/orders/src/routes.ts",
      'const a = "Select a size from the list"; const b = "update the price"; // select a from b',
    ],
  ])("%s may: %s", (path, text) => {
    expect(planted(sqlInItsPlace, path, text)).toEqual([]);
  });

  test("a statement named after somebody else", () => {
    const text = 'export const a = sql("payments.lock", { takes: [], gives: {} })`select 1`;';
    expect(planted(statementNames, "services/orders/src/store/order.ts", text)).toEqual([
      "1: statement payments.lock is not named orders.something",
    ]);
    expect(planted(statementNames, "services/payments/src/store/payment.ts", text)).toEqual([]);
  });

  test.each([
    ["kit/postgres/src/database.ts", 'const settings = ["synchronous_commit=off"];'],
    ["apps/server/src/compose.ts", 'const settings = { fsync: "off" };'],
    ["bench/src/orders.ts", 'await admin.query("set synchronous_commit to local");'],
    ["services/orders/src/store/order.ts", "const s = sql(n, c)`set local full_page_writes = false`;"],
    ["services/orders/migrations/0001-orders.sql", "create unlogged table t (x int);"],
    ["services/orders/migrations/0001-orders.sql", "alter table t set unlogged;"],
    ["services/orders/migrations/0001-orders.sql", "alter role onsale_orders set synchronous_commit = 'off';"],
  ])("durability lowered in %s: %s", (path, text) => {
    expect(planted(durability, path, text)).toHaveLength(1);
  });

  test("durability may be looked at, and is off on the throw-away servers of tests", () => {
    expect(planted(durability, "bench/src/orders.ts", `const shown = ["fsync", "synchronous_commit"];`)).toEqual([]);
    expect(planted(durability, "kit/testing/src/server.ts", `const settings = { fsync: "off" };`)).toEqual([]);
  });
});

describe("calls in one place", () => {
  test.each([
    [environment, "services/orders/src/a.ts", "const x = process.env.HOME;"],
    [environment, "apps/cli/src/a.ts", `const { HOME } = process.env;`],
    [environment, "apps/cli/src/a.ts", `const { env } = process;`],
    [environment, "apps/cli/src/a.ts", `import { env } from "node:process";`],
    [environment, "apps/cli/src/a.ts", `const x = globalThis.process.env;`],
    [timeAndChance, "services/orders/src/order.ts", "const x = Date.now();"],
    [timeAndChance, "services/orders/src/order.ts", "const x = new Date();"],
    [timeAndChance, "services/orders/src/order.ts", "const x = Math.random();"],
    [timeAndChance, "services/orders/src/order.ts", "const x = performance.now();"],
    [timeAndChance, "services/orders/src/order.ts", "const x = globalThis.crypto.randomUUID();"],
    [timeAndChance, "services/orders/src/order.ts", `import { randomUUID } from "node:crypto";`],
    [timeAndChance, "contracts/src/time.ts", "const x = Date.now();"],
    [consoles, "services/orders/src/order.ts", `console.log("x");`],
    [consoles, "kit/http/src/server.ts", `console.error("x");`],
    [
      sleepingTests,
      "services/orders/test/a.unit.test.ts",
      `import { setTimeout as sleep } from "node:timers/promises";`,
    ],
    [sleepingTests, "services/orders/test/a.unit.test.ts", "await new Promise((go) => setTimeout(go, 100));"],
    [sleepingTests, "services/orders/test/shop.ts", "globalThis.setTimeout(go, 100);"],
  ] as const)("%o in %s: %s", (rule, path, text) => {
    expect(planted(rule, path, text)).toEqual([expect.stringMatching(/^1: /)]);
  });

  test.each([
    [environment, "kit/runtime/src/configuration.ts", "const x = process.env;"],
    [environment, "services/orders/src/order.ts", "const x = it.env; // process.env"],
    [timeAndChance, "services/orders/src/order.ts", "const x = new Date(instant).toISOString(); Date.parse(instant);"],
    [timeAndChance, "services/orders/src/telemetry.ts", "const x = Date.now();"],
    [timeAndChance, "services/accounts/src/session.ts", `import { randomBytes } from "node:crypto";`],
    [consoles, "apps/cli/src/status.ts", `console.log("x");`],
    [sleepingTests, "services/orders/test/a.unit.test.ts", `import { setImmediate } from "node:timers/promises";`],
    [sleepingTests, "kit/testing/src/wait.ts", `import { setTimeout } from "node:timers/promises";`],
  ] as const)("%o may in %s: %s", (rule, path, text) => {
    expect(planted(rule, path, text)).toEqual([]);
  });
});

describe("the language we use", () => {
  test.each([
    "const x: any = 1;",
    "const x = y as unknown as any[];",
    "const x = y!.z;",
    "enum Colour { Red }",
    "class A { constructor(private readonly x: string) {} }",
    "export default 1;",
    "const x = 1; export { x as default };",
    "// @ts-ignore\nconst x = 1;",
    "/* @ts-expect-error: it works */ const x = 1;",
  ])("%s", (text) => {
    expect(planted(language, "services/orders/src/order.ts", text)).toHaveLength(1);
  });

  test("what only looks like it", () => {
    const text = `const any = "any!"; const x = !y; const z = a !== b; // any @ignore`;
    expect(planted(language, "services/orders/src/order.ts", text)).toEqual([]);
    expect(planted(language, "vitest.config.ts", "export default {};")).toEqual([]);
  });

  test.each([
    ["services/orders/src/order.ts", "const x = 1; // TODO later"],
    ["services/orders/src/order.ts", "/** FIXME */ const x = 1;"],
    ["services/orders/migrations/0001-a.sql", "-- TODO an index"],
    ["README.md", "TODO: write"],
  ])("left for later in %s: %s", (path, text) => {
    expect(planted(promises, path, text)).toHaveLength(1);
  });
});

describe("what files are called and let out", () => {
  test.each([
    ["export const a = 1; export const b = 2;", "not 2: a, b"],
    [`export { a } from "./a.ts"; export function b() {}`, "not 2: a, b"],
    [`export * from "./a.ts"; export { a } from "./b.ts";`, "not 2: *, a"],
    [`export type { A } from "./a.ts";`, "not 0"],
  ])("a service exports %s", (text, complaint) => {
    expect(planted(oneValue, "services/orders/src/index.ts", text)).toEqual([expect.stringContaining(complaint)]);
  });

  test("a service may export its types along", () => {
    const text = `export { orders } from "./service.ts"; export { type Ports } from "./ports.ts"; export type * from "./a.ts";`;
    expect(planted(oneValue, "services/orders/src/index.ts", text)).toEqual([]);
  });

  test("a file that only passes on, and is nobody's entry", () => {
    const text = `export { a } from "./a.ts";\nexport * from "./b.ts";`;
    expect(planted(noBarrels, "services/orders/src/store/all.ts", text)).toHaveLength(1);
    expect(planted(noBarrels, "services/orders/src/index.ts", text)).toEqual([]);
    expect(planted(noBarrels, "services/orders/src/store/all.ts", `${text}\nexport const c = 1;`)).toEqual([]);
  });

  test.each(["utils.ts", "order-helpers.ts", "common.ts", "placeOrder.ts", "Order.ts"])("%s", (name) => {
    expect(planted(fileNames, `services/orders/src/${name}`, "export const a = 1;")).toHaveLength(1);
  });

  test("a test that doesn't say what it costs", () => {
    expect(planted(testNames, "services/orders/test/order.test.ts", "")).toHaveLength(1);
    expect(planted(testNames, "services/orders/test/order.unit.test.ts", "")).toEqual([]);
  });
});

describe("documents", () => {
  const leads = linksLead((path) => path === "docs/there.md" || path === "README.md");

  test("a link that leads nowhere", () => {
    const text =
      "[one](there.md) [two](../README.md#part) [three](https://x.org/a.md)\n[four](gone.md) `[code](gone.md)`";
    expect(planted(leads, "docs/a.md", text)).toEqual(["2: leads nowhere: gone.md"]);
  });

  test("a document that no other leads to", () => {
    const files = { "README.md": "[a](docs/a.md) [all](docs/decisions/)", "docs/a.md": "", "docs/decisions/1.md": "" };
    expect(documentsNamed(house(files))).toEqual([]);
    const lonely = documentsNamed(house({ ...files, "docs/b.md": "[me](b.md)" }));
    expect(lonely.map(({ path }) => path)).toEqual(["docs/b.md"]);
  });

  test("an error that no runbook names, by its metric or its words", () => {
    const telemetry = `
      const lost = defineFact("lost", { counter: "onsale_lost_total", level: "error" });
      const gone = defineFact("all gone", { level: "error" });
      const seen = defineFact("seen", { level: "info" });`;
    const alarms = (page: string) =>
      alarmsExplained(house({ "apps/server/src/a.ts": telemetry, "docs/runbooks/a.md": page })).map(({ what }) => what);
    expect(alarms("`onsale_lost_total`, `all gone`")).toEqual([]);
    expect(alarms("something else")).toEqual(["no runbook names onsale_lost_total", "no runbook names all gone"]);
  });

  test("a metric in a runbook that nobody counts", () => {
    const files = { "apps/server/src/a.ts": `count("onsale_lost_total");` };
    const page = (text: string) => metricsExist(house({ ...files, "docs/runbooks/a.md": text }));
    expect(page("`onsale_lost_total` grows")).toEqual([]);
    expect(page("`onsale_lost` grows").map(({ what }) => what)).toEqual(["nobody counts onsale_lost"]);
  });
});

describe("a rule broken on purpose", () => {
  const rule = rules(() => true)["tests do not sleep"];
  const sleepUnder = (comment: string) =>
    rule?.(
      house({ "services/orders/test/a.unit.test.ts": `${comment}\nsetTimeout(go, 100);\nsetTimeout(go, 200);` }),
    ).map(({ line }) => line);

  test("is excused on the next line by its name and a reason", () => {
    expect(sleepUnder(`// Despite "tests do not sleep": the server said how long to wait.`)).toEqual([3]);
  });

  test.each([
    `// Despite "no barrels": the server said how long to wait.`,
    `// Despite "tests do not sleep": it must.`,
    "// The server said how long to wait, despite what tests should do.",
    `// Despite "tests do not sleep": the server said how long to wait.\n`,
  ])("%s excuses nothing", (comment) => {
    expect(sleepUnder(comment)).toHaveLength(2);
  });
});

test("a file that doesn't parse is named, and the others are looked at", () => {
  const broken = house({ "services/orders/src/a.ts": "const = ;", "services/orders/src/b.ts": "const x: any = 1;" });
  const all = rules(() => true);
  expect(all["every file parses"]?.(broken)).toEqual([expect.objectContaining({ path: "services/orders/src/a.ts" })]);
  expect(all["the language we use"]?.(broken)).toHaveLength(1);
});

test("sizes are told, the longest first", () => {
  const text = "export function long() {\n  a();\n  b();\n}\nconst short = () => 1;\n";
  const files = house({ "services/orders/src/a.ts": text, "services/orders/src/b.ts": "export const x = 1;\n" });
  expect(longestFiles(files, 1)).toEqual([{ what: "services/orders/src/a.ts", lines: 5 }]);
  expect(longestFunctions(files, 2)).toEqual([
    { what: "services/orders/src/a.ts:1 long", lines: 4 },
    { what: "services/orders/src/a.ts:5", lines: 1 },
  ]);
});
