import { readdir } from "node:fs/promises";
import { testDatabase } from "@onsale/testing";
import { afterAll, beforeAll, expect, test } from "vitest";
import { onsale, opened, shopFolder } from "./command-line.ts";

let shop: Awaited<ReturnType<typeof shopFolder>>;
let database: Awaited<ReturnType<typeof testDatabase>>;

beforeAll(async () => {
  shop = await shopFolder();
  database = await testDatabase({ services: [] });
});
afterAll(async () => {
  await shop.remove();
  await database.close();
});

test("a shop runs on an existing PostgreSQL, and its data stays with that one", { timeout: 120_000 }, async () => {
  const databaseUrl = await database.tcpUrl();
  await using up = await shop.up([], { ONSALE_DATABASE_URL: databaseUrl });
  await opened(up);
  expect(await shop.status()).toMatchObject({ ready: true, databaseUrl });
  expect(await readdir(shop.folder.postgres)).toEqual([]);
  up.signal("SIGTERM");
  expect(await up.ended).toBe(0);

  const embedded = await onsale(["up", "--data", shop.root]);
  expect(embedded.code).toBe(1);
  expect(embedded.stderr).toContain("can't go on with the embedded PostgreSQL");
});

test("one that can't be reached is named, without its password", async () => {
  const url = new URL(database.adminUrl);
  url.port = "1";
  url.password = "hunter2";
  const { code, stderr } = await onsale(["up", "--data", shop.root], { ONSALE_DATABASE_URL: url.href });
  expect(code).toBe(1);
  expect(stderr).toContain(":1/");
  expect(stderr).not.toContain("hunter2");
});
