import { expect, test } from "vitest";
import { testDatabase } from "@onsale/testing";
import { databaseNow } from "@onsale/postgres";
test("works", async () => {
  await using db = await testDatabase({ schema: "shop", sets: [] });
  const d = db.open("shop");
  expect(await databaseNow(d)).toMatch(/Z$/);
  expect(await d.transaction((tx) => databaseNow(tx))).toMatch(/Z$/);
});
