import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { requires } from "@onsale/testing";
import { expect, onTestFinished, test } from "vitest";
import { benchInventory } from "../src/inventory.ts";

// A search of the limit's best number of clients, a backlog and a steady load, a second each: 15 s on an idle machine.
const timeout = 180_000;

test.skipIf(!requires("pgbench", "pgbench", "--version"))(
  "reservations of one hot product are counted beside the plain transaction, and the books agree",
  {
    timeout,
  },
  async () => {
    const directory = await mkdtemp(join(tmpdir(), "onsale-bench-test-"));
    onTestFinished(() => rm(directory, { recursive: true, force: true }));
    const { rows, details } = await benchInventory({
      ...{ directory: join(directory, "ground"), seconds: 2, pairs: 1, orders: 2_000, perSecond: 200 },
      say: () => undefined,
    });
    expect(rows).toMatchObject([{ row: "hot postgres", unit: "reservations/s", goal: 20 }]);
    for (const { value, ratio, limit } of rows) {
      expect(value).toBeGreaterThan(0);
      expect(limit.value).toBeGreaterThan(0);
      expect(ratio).toBeGreaterThan(0);
    }
    expect(details).toMatchObject({ wrong: [], steady: { orders: expect.any(Number), p95Ms: expect.any(Number) } });
    expect(await readdir(directory), "what is left behind").toEqual([]);
  },
);
