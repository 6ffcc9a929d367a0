import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { type MigrationSet, migrate, sql, text } from "@onsale/postgres";
import { type TestDatabase, testDatabase } from "@onsale/testing";
import { afterEach, beforeEach, expect, test } from "vitest";

let own: TestDatabase;
let home: string;
beforeEach(async () => {
  own = await testDatabase({ schema: "empty", sets: [] });
  home = await mkdtemp(join(tmpdir(), "onsale-migrations-"));
});
afterEach(async () => {
  await own.close();
  await rm(home, { recursive: true, force: true });
});

/** Writes migrations of an owner; a second call adds to them or changes them. */
async function setOf(owner: string, files: Readonly<Record<string, string>>): Promise<MigrationSet> {
  const folder = join(home, owner);
  await mkdir(folder, { recursive: true });
  for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text);
  // Without a slash at its end, as one is easily forgotten.
  return { owner, directory: pathToFileURL(folder) };
}

const migrateShop = (...sets: readonly MigrationSet[]) =>
  migrate({ adminUrl: own.adminUrl, schema: "shop", role: "onsale_shop", sets });

test("files are applied in the order of owners and names, once, and new ones later", async () => {
  const kit = await setOf("kit", { "0001-log.sql": "create table log (id int primary key)" });
  const shop = await setOf("shop", {
    "0002-more.sql": "alter table shelf add column log_id int references log",
    "0001-shelf.sql": "create table shelf (sku text primary key)",
    "readme.md": "not a migration",
  });
  expect(await migrateShop(kit, shop)).toEqual({
    applied: ["kit/0001-log.sql", "shop/0001-shelf.sql", "shop/0002-more.sql"],
  });
  expect(await migrateShop(kit, shop)).toEqual({ applied: [] });
  await setOf("shop", { "0003-last.sql": "create table last (id int)" });
  expect(await migrateShop(kit, shop)).toEqual({ applied: ["shop/0003-last.sql"] });
});

test("several processes that start together migrate once", async () => {
  const shop = await setOf("shop", {
    "0001-shelf.sql": "create table shelf (sku text)",
    "0002-slow.sql": "create table slow (id int)",
  });
  const results = await Promise.all([1, 2, 3, 4].map(() => migrateShop(shop)));
  expect(results.flatMap(({ applied }) => applied)).toEqual(["shop/0001-shelf.sql", "shop/0002-slow.sql"]);
});

test("several databases of one server may make the same role at once", async () => {
  const shop = await setOf("shop", { "0001-shelf.sql": "create table shelf (sku text)" });
  const role = `onsale_race_${process.pid}`;
  const databases = await Promise.all([1, 2, 3, 4].map(() => testDatabase({ schema: "empty", sets: [] })));
  try {
    const migrateOne = ({ adminUrl }: TestDatabase) => migrate({ adminUrl, schema: "shop", role, sets: [shop] });
    await expect(Promise.all(databases.map(migrateOne))).resolves.toHaveLength(4);
  } finally {
    await Promise.all(databases.map((database) => database.close()));
  }
});

test("a file that was applied and has changed since is refused, all of them named, and nothing is applied", async () => {
  const shop = await setOf("shop", {
    "0001-a.sql": "create table a (id int)",
    "0002-b.sql": "create table b (id int)",
  });
  await migrateShop(shop);
  await setOf("shop", {
    "0001-a.sql": "create table a (id bigint)",
    "0002-b.sql": "create table b (id bigint)",
    "0003-c.sql": "create table c (id int)",
  });
  await expect(migrateShop(shop)).rejects.toThrow(/shop\/0001-a\.sql.*changed.*shop\/0002-b\.sql.*changed/);
  expect(await tablesOf("shop")).not.toContain("c");
});

test("a checkout that turned the line ends has not changed anything", async () => {
  const shop = await setOf("shop", { "0001-a.sql": "create table a (\n id int\n)\n" });
  await migrateShop(shop);
  await setOf("shop", { "0001-a.sql": "create table a (\r\n id int\r\n)\r\n" });
  expect(await migrateShop(shop)).toEqual({ applied: [] });
});

test("a database that a newer version has migrated is refused by an older one", async () => {
  const shop = await setOf("shop", { "0001-a.sql": "select 1", "0002-newer.sql": "select 1" });
  await migrateShop(shop);
  await rm(join(home, "shop/0002-newer.sql"));
  await expect(migrateShop(shop)).rejects.toThrow("shop/0002-newer.sql was applied and is unknown to this version");
});

test("a failing file leaves nothing of itself, keeps those before it, and is named with its cause", async () => {
  const shop = await setOf("shop", {
    "0001-good.sql": "create table good (id int)",
    "0002-bad.sql": "create table half (id int); select 1 / 0",
  });
  const failed = migrateShop(shop);
  await expect(failed).rejects.toThrow("Migration shop/0002-bad.sql failed in schema shop");
  await expect(failed).rejects.toMatchObject({ cause: { code: "22012" } });
  expect(await tablesOf("shop")).toEqual(["good", "migration"]);
  await setOf("shop", { "0002-bad.sql": "create table whole (id int)" });
  expect(await migrateShop(shop)).toEqual({ applied: ["shop/0002-bad.sql"] });
});

test("the service's role reads and writes the tables, neither changes the schema nor sees another's", async () => {
  const shop = await setOf("shop", {
    "0001-shelf.sql": `
      create table shelf (id bigint generated always as identity, sku text);
      create table ledger (sku text);
      do $$ begin
        execute format('revoke update, delete, truncate on ledger from %I', current_setting('onsale.role'));
      end $$`,
  });
  await migrateShop(shop);
  await migrate({ adminUrl: own.adminUrl, schema: "other", role: "onsale_other", sets: [shop] });
  const database = own.open("shop");
  const as = (name: string, statement: string) => ({ name: `migrate.${name}`, text: statement, takes: [], gives: {} });
  const run = (name: string, statement: string) => database.execute(as(name, statement), []);
  const refused = { code: "42501" };
  await run("insert", "insert into shelf (sku) values ('a')");
  await run("update", "update shelf set sku = 'b'");
  await run("append", "insert into ledger values ('a')");
  await expect(run("edit", "update ledger set sku = 'b'")).rejects.toMatchObject(refused);
  await expect(run("drop", "drop table shelf")).rejects.toMatchObject({ code: "42501" });
  await expect(run("truncate", "truncate shelf")).rejects.toMatchObject(refused);
  await expect(run("create", "create table more (id int)")).rejects.toMatchObject(refused);
  await expect(run("spy", "select from other.shelf")).rejects.toMatchObject(refused);
  await expect(run("forge", "delete from migration")).rejects.toMatchObject(refused);
});

test("a schema or role whose name is not plain is refused before anything is sent", async () => {
  const odd = { adminUrl: own.adminUrl, schema: "shop; drop schema other", role: "onsale_shop", sets: [] };
  await expect(migrate(odd)).rejects.toThrow("identifier");
});

const tablesSql = sql("migrate.tables", { takes: [text], gives: { name: text } })`
  select tablename::text as name from pg_tables where schemaname = $1 order by 1`;

const tablesOf = async (schema: string): Promise<string[]> =>
  (await own.open("empty", { role: "onsale" }).query(tablesSql, [schema])).map((row) => row.name);
