import { serverOfThisRun } from "@onsale/testing";
import { expect, test } from "vitest";
import { drillBulkFlood } from "../src/flood/bulk-flood.ts";

// A sample, for what does not depend on the machine: the recorded run has a million (RESULTS.md), and promises of time are
// judged there.
test("a flood loses and doubles nothing, says where sales waited, and a stalled shard holds up only its own", async () => {
  const words: string[] = [];
  const say = (told: string) => void words.push(told);
  const report = await drillBulkFlood({ serverUrl: await serverOfThisRun(), events: 3_000, quietMs: 500, say });
  console.log(words.join("\n"));
  for (const id of ["none-lost", "one-effect", "stalled-shard-delays-only-its-keys"])
    expect(report.invariants.find((one) => one.id === id)).toMatchObject({ violations: [] });
  expect(report.figures).toMatchObject({
    ...{ quietP99Ms: expect.any(Number), sharedP99Ms: expect.any(Number), lanesP99Ms: expect.any(Number) },
    ...{ bulkAlonePerS: expect.any(Number), bulkBesidePerS: expect.any(Number) },
    hops: {
      shared: { online: { bottleneck: expect.any(String) } },
      lanes: { online: { bottleneck: expect.any(String) }, bulk: { bottleneck: expect.any(String) } },
    },
  });
}, 300_000);
