import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { requiresRedis, type TestRedis, testRedis } from "@onsale/testing";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { playAndAudit } from "../../src/replay/perform.ts";
import { isClean, type ReplayReport } from "../../src/replay/report.ts";
import { journalName, type ReplayOptions } from "../../src/replay/run.ts";
import { startTestShop, type TestShop } from "../test-shop.ts";
import { fileOf, header, planOf } from "./invoices.ts";

describe.skipIf(!(await requiresRedis()))("a replay in a shop with a gate", { timeout: 120_000 }, () => {
  let redis: TestRedis;
  let shop: TestShop;
  beforeAll(async () => {
    redis = await testRedis();
    shop = await startTestShop({ redis });
  });
  afterAll(async () => {
    await shop?.close();
    await redis?.[Symbol.asyncDispose]();
  });

  test("counts whom the gate turns away as rejected, and finds them again", async () => {
    const buyers = Array.from({ length: 80 }, (_, index) => `${index},10000A,A THING,1,1/12/2010,1.00,,United Kingdom`);
    const file = await fileOf([header, ...buyers].join("\n"));
    const options: ReplayOptions = {
      ...{ plan: await planOf(file), file, currency: "GBP", buyers: 4 },
      play: { contentHash: "a crowd", stockShare: { millionths: 100_000 }, payment: "card" },
    };
    const play = () => playAndAudit(options, {}, shop);
    const first = await play();
    expect(first.orders).toEqual({ submitted: 80, confirmed: 8, rejected: 72, cancelled: 0, pending: 0 });
    expect(first.audit.violations).toEqual([]);
    expect(isClean(first)).toBe(true);
    const journal = await readFile(join(shop.data, "replay", journalName(options.play)), "utf8");
    expect(journal.split('"kind":"turned-away"').length - 1).toBeGreaterThan(10);
    const again = await play();
    const counts = ({ orders, money, stock }: ReplayReport) => ({ orders, money, stock });
    expect(counts(again)).toEqual(counts(first));
    expect(again.changed).toBe(false);
  });
});
