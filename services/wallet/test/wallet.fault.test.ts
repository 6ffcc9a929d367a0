import { describe, expect, test } from "vitest";
import { withdrawn } from "./books.ts";
import { crashTimeoutMs, everyCrashOf, filled, orders, spent } from "./crashes.ts";

// Each point costs a database of its own: the first and the widest step are broken here, the others in a drill.
describe("every crash point", { timeout: crashTimeoutMs }, () => {
  test("holding", async () => {
    const { steps } = await everyCrashOf("hold-points", orders, filled);
    expect(steps).toBeGreaterThan(8);
  });

  test("releasing what is held, giving back what is spent, taking back what is earned", async () => {
    await everyCrashOf("release-points", [1, 2, 4, 99].map(withdrawn), spent);
  });
});
