import { testDatabase } from "@onsale/testing";
import { expect, test } from "vitest";
import { services } from "../src/audit/subscriptions.ts";
import { drillSagaFaults } from "../src/drills/saga-faults/saga-faults.ts";
import { sample } from "../src/drills/saga-faults/sample.ts";

// Another seed, another part of the table; the whole of it is `onsale drill saga-faults`.
const seed = 1;

test("a sample of the sagas' steps, failed in every way in the whole shop: the ends are final and the books agree", async () => {
  await using database = await testDatabase({ services });
  const report = await drillSagaFaults({
    ...{ adminUrl: database.adminUrl, saga: "orchestrated", seed, orders: 1, pick: sample },
    say: () => undefined,
  });
  expect(report.invariants.filter(({ violations }) => violations.length > 0)).toEqual([]);
  expect(report.verdict).toBe("pass");
  // One before and one after a commit; one more for those who came too late to die together with the others.
  expect((report.figures as { deaths: number }).deaths).toBeGreaterThanOrEqual(2);
}, 600_000);
