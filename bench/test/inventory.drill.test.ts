import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { requires, requiresRedis } from "@onsale/testing";
import { expect, onTestFinished, test } from "vitest";
import { benchInventory } from "../src/inventory.ts";

// A search of the limit's best number of clients, a backlog, a crowd and two steady loads: 25 s on an idle machine.
const timeout = 180_000;

test.skipIf(!(requires("pgbench", "pgbench", "--version") && (await requiresRedis())))(
  "reservations of one hot product, with and without a gate, are counted beside the plain transaction, and the books agree",
  {
    timeout,
  },
  async () => {
    const directory = await mkdtemp(join(tmpdir(), "onsale-bench-test-"));
    onTestFinished(() => rm(directory, { recursive: true, force: true }));
    const { rows, details } = await benchInventory({
      ...{ directory: join(directory, "ground"), seconds: 2, pairs: 1, orders: 8_000, perSecond: 200 },
      say: () => undefined,
      goOn: () => undefined,
    });
    expect(rows).toMatchObject([
      { row: "hot postgres", unit: "reservations/s", goal: 20 },
      { row: "hot redis", unit: "reservations/s", goal: 20 },
    ]);
    for (const { value, ratio, limit } of rows) {
      expect(value).toBeGreaterThan(0);
      expect(limit.value).toBeGreaterThan(0);
      expect(ratio).toBeGreaterThan(0);
    }
    const steady = { orders: expect.any(Number), p95Ms: expect.any(Number) };
    const run = {
      shares: expect.any(Object),
      microseconds: { server: expect.any(Number), PostgreSQL: expect.any(Number) },
    };
    expect(details).toMatchObject({
      wrong: [],
      "hot postgres": { runs: [run], steady },
      "hot redis": { runs: [{ ...run, asked: 8_000, granted: 2_000, wrong: [] }], steady },
    });
    expect(await readdir(directory), "what is left behind").toEqual([]);
  },
);
