import { declaredStatements, findMisdeclared, openDescriber } from "@onsale/postgres";
import { expect, test } from "vitest";
import "../src/service.ts";
import { openTill } from "./till.ts";

test("the service's statements are declared as PostgreSQL sees them", async () => {
  await using own = await openTill();
  await using describer = await openDescriber({ url: own.adminUrl, schema: "payments" });
  const ours = declaredStatements().filter(({ name }) => name.startsWith("payments."));
  expect(ours.length).toBeGreaterThan(15);
  expect(await findMisdeclared(describer, ours)).toEqual([]);
});
