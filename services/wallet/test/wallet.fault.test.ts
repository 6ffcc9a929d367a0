import { expect, test } from "vitest";
import { withdrawn } from "./books.ts";
import { crashTimeoutMs, everyCrashOf, spent } from "./crashes.ts";

// Each point costs a database of its own: the step that touches the most is broken here, the others in a drill.
test("every crash point of releasing what is held, giving back what is spent and taking back what is earned", {
  timeout: crashTimeoutMs,
}, async () => {
  const { steps } = await everyCrashOf("release-points", [1, 2, 4, 99].map(withdrawn), spent);
  expect(steps).toBeGreaterThan(12);
});
