import { payments } from "@onsale/payments";
import { as, bigint, sql, text } from "@onsale/postgres";
import { type SpawnedNode, spawnNode, type TestDatabase, testDatabase, waitFor } from "@onsale/testing";
import { expect, test } from "vitest";
import { noFaults, readFaults, setFaults } from "../src/index.ts";
import { Merchant } from "./merchant.ts";

// The payments service as a process that is killed again and again, against a provider on a bad day that is killed too.
const orders = 160;
const kills = 6;

// Often enough that a run without any of them is one in a hundred thousand, seldom enough that the circuit stays closed.
const worstDay = {
  ...noFaults,
  seed: 11,
  slowMs: 500,
  shares: { slow: 0.04, failBefore: 0.08, failAfter: 0.08, chargedThenTimeout: 0.08, declined: 0.08 },
};

const start = (own: TestDatabase, shop: Merchant): Promise<SpawnedNode> =>
  spawnNode(new URL("./cashier.ts", import.meta.url), {
    args: [own.adminUrl, shop.provider.url, shop.secrets.apiSecret, String(orders)],
  });

test("killed between asking and knowing, it charges each order once, and the two ledgers agree", {
  timeout: 180_000,
}, async () => {
  await using own = await testDatabase({ services: [payments] });
  await using shop = await Merchant.open({ latencyMs: 5 });
  const port = Number(new URL(shop.provider.url).port);
  await setFaults(shop.provider.url, shop.secrets.apiSecret, worstDay);
  let betweenAskingAndKnowing = 0;
  for (let kill = 0; kill < kills; kill++) {
    await using cashier = await start(own, shop);
    await cashier.line(/^prepared [1-9]/);
    // Some right after the intent was stored, some after the answers came, some during the calls of a later batch.
    if (kill % 3 === 1) await cashier.line(/^asked/);
    if (kill % 3 === 2) await waitFor(() => cashier.lines.filter((line) => line.startsWith("prepared")).length >= 3);
    cashier.signal("SIGKILL");
    await cashier.ended;
    const last = cashier.lines.findLast((line) => /^(prepared|asked)/.test(line)) ?? "";
    if (last !== "asked 0" && last !== "prepared 0") betweenAskingAndKnowing++;
    if (kill % 3 === 2) {
      process.kill(shop.provider.pid, "SIGKILL");
      await shop.provider.ended;
      await shop.start({ port });
    }
  }
  expect(betweenAskingAndKnowing).toBeGreaterThan(kills / 2);
  await using cashier = await start(own, shop);
  await cashier.line(/^over$/, 120_000);
  const { hits } = await readFaults(shop.provider.url, shop.secrets.apiSecret);
  for (const kind of ["failBefore", "failAfter", "chargedThenTimeout", "declined", "slow"] as const)
    expect(hits[kind]).toBeGreaterThan(0);

  const theirs = await shop.ledger();
  expect(theirs.length).toBe(orders);
  expect(new Set(theirs.map(({ reference }) => reference)).size).toBe(orders);
  const database = own.open("payments");
  const ours = new Map((await database.query(booksSql, [])).map((row) => [row.orderId, row]));
  expect(ours.size).toBe(orders);
  for (const { reference, capturedMinor, refundedMinor, status, movements } of theirs) {
    const { owed, state } = ours.get(reference) ?? { owed: -1, state: "missing" };
    expect(owed).toBe(capturedMinor - refundedMinor);
    if (state === "REVERSED") expect(capturedMinor).toBe(refundedMinor);
    if (state === "REVERSED") expect(status).not.toBe("authorised");
    expect(
      movements.filter(({ kind, refused }) => kind === "capture" && refused === undefined).length,
    ).toBeLessThanOrEqual(1);
  }
  expect(new Set([...ours.values()].map(({ state }) => state))).toEqual(new Set(["CAPTURED", "REVERSED"]));
});

const booksSql = sql("killed-cashier.books", {
  takes: [],
  gives: { orderId: as<string>(text), state: text, owed: bigint },
})`
  select order_id::text as "orderId", status as state,
    coalesce((select sum(amount_minor) from payments.ledger_entry as entry
      where entry.order_id = payment.order_id and account = 'provider'), 0)::bigint as owed
  from payments.payment`;
