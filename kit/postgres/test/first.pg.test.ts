import { databaseNow } from "@onsale/postgres";
import { testDatabase } from "@onsale/testing";
import { expect, test } from "vitest";

test("works", async () => {
  await using db = await testDatabase({ schema: "shop", sets: [] });
  const d = db.open("shop");
  expect(await databaseNow(d)).toMatch(/Z$/);
  expect(await d.transaction((tx) => databaseNow(tx))).toMatch(/Z$/);
});
