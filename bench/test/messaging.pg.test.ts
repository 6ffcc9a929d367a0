import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { benchMessaging } from "../src/messaging.ts";

// A server of its own, and processes that each open it: 15 s on an idle machine.
const timeout = 180_000;

let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "onsale-bench-test-"));
});
afterAll(() => rm(directory, { recursive: true, force: true }));

test("the parts that need nothing but PostgreSQL tell their rows by name, whatever they measured", {
  timeout,
}, async () => {
  const report = await benchMessaging({
    ...{ directory: join(directory, "ground"), jars: join(directory, "jars"), parts: ["outbox", "log", "pgoutput"] },
    ...{ pairs: 1, seconds: 1, events: 1_000, peerWarmUpSeconds: 1, perSecond: 100 },
    say: () => undefined,
    goOn: () => undefined,
  });
  expect(report.rows.map(({ row }) => row)).toEqual(["outbox cost", "log p50", "log p99", "pgoutput"]);
  for (const { value, ratio, limit } of report.rows) {
    expect(value).toBeGreaterThan(0);
    expect(limit.value).toBeGreaterThan(0);
    expect(ratio).toBeGreaterThan(0);
  }
  expect(report.details).toMatchObject({
    outbox: { logBytesPerEvent: expect.any(Number) },
    log: { snapshot: [{ samples: expect.any(Number) }], wal: [{ samples: expect.any(Number) }] },
    pgoutput: { events: 1_000, logBytesPerEvent: expect.any(Number) },
    settings: { fsync: "on", synchronous_commit: "on", full_page_writes: "on" },
  });
  expect(await readdir(directory), "what is left behind").toEqual([]);
});
