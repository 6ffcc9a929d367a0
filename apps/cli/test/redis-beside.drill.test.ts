/** One shop with a Redis beside it, which is killed and orphaned. The tests follow one another on the same data. */

import { readFile, rm, writeFile } from "node:fs/promises";
import { requiresRedis, waitFor } from "@onsale/testing";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { isAlive } from "../src/process-mark.ts";
import { onsale, opened, shopFolder } from "./command-line.ts";

const longMs = 240_000;

const invoices = new URL("../../../examples/online-retail/invoices-2010-12-01-to-05.csv", import.meta.url);

let shop: Awaited<ReturnType<typeof shopFolder>>;
let up: Awaited<ReturnType<typeof shop.up>>;
let few: string;

beforeAll(async () => {
  shop = await shopFolder();
  // Beside its folder, which has to be empty when a shop is first opened there.
  few = `${shop.root}.csv`;
  await writeFile(few, (await readFile(invoices, "utf8")).split("\n").slice(0, 120).join("\n"));
});
afterAll(async () => {
  await up?.[Symbol.asyncDispose]();
  await shop.remove();
  await rm(few);
});

const replay = async () => {
  const play = ["replay", few, "--stock-share", "0.5", "--inventory", "redis"];
  const { code, stdout, stderr } = await onsale([...play, "--data", shop.root, "-o", "json"]);
  return { code, stderr, report: code === 0 ? JSON.parse(stdout.trim().split("\n").at(-1) ?? "") : undefined };
};

describe.skipIf(!(await requiresRedis()))("a shop with Redis beside it", { timeout: longMs }, () => {
  test("is opened by a replay that needs a gate, and closed again", async () => {
    const { code, stderr, report } = await replay();
    expect(code, stderr).toBe(0);
    expect(report.orders.confirmed).toBeGreaterThan(0);
    expect(report.orders.rejected).toBeGreaterThan(0);
    expect(report.audit.violations).toEqual([]);
    expect(isAlive((await shop.server()).redisServer)).toBe(false);
  });

  test("says where it is, and starts it again at its address when it was killed", async () => {
    up = await shop.up(["--with", "redis"]);
    await opened(up);
    const { redis, redisServer } = await shop.server();
    expect(up.lines.join("\n")).toContain(`Redis      ${redis}`);
    process.kill(redisServer.pid, "SIGKILL");
    await waitFor(async () => (await shop.server()).redisServer.pid !== redisServer.pid, { withinMs: 60_000 });
    expect(await shop.status()).toMatchObject({ ready: true, redis });
    const { report } = await replay();
    expect(report.changed).toBe(false);
  });

  test("leaves none behind when it was killed, and without it a replay that needs a gate is refused", async () => {
    const before = await shop.server();
    process.kill(before.server.pid, "SIGKILL");
    await waitFor(() => !isAlive(before.server));
    up = await shop.up();
    await opened(up);
    expect(isAlive(before.redisServer)).toBe(false);
    expect((await shop.status()).redis).toBeNull();
    const { code, stderr } = await replay();
    expect(code).toBe(1);
    expect(stderr).toContain("up --with redis");
  });
});
