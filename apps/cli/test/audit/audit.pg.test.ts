import { randomUUID } from "node:crypto";
import { composedSql, openDatabase } from "@onsale/postgres";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type AuditReport, audit, auditSnapshot, checks } from "../../src/audit/audit.ts";
import { type LivedShop, liveThroughADay } from "./audited-shop.ts";

let lived: LivedShop;

beforeAll(async () => {
  lived = await liveThroughADay();
  await auditOf(lived.shop.databaseUrl, 20_000);
  await lived.shop.stopServer();
}, 180_000);

afterAll(async () => {
  await lived.shop.close();
});

const auditOf = (databaseUrl: string, waitMs = 0): Promise<AuditReport> =>
  audit({ ...lived.shop, databaseUrl }, { waitMs });

/** What the audit finds after one change made behind everybody's back; the change is rolled back afterwards. */
async function auditAfter(change: string): Promise<AuditReport> {
  const url = lived.shop.databaseUrl;
  const database = openDatabase({ url, connections: 1, applicationName: "corruption" });
  const undo = new Error("The change is undone.");
  let report: AuditReport | undefined;
  try {
    await database.transaction(async (tx) => {
      await tx.execute(corruption(change), []);
      report = await auditSnapshot(tx, lived.shop);
      throw undo;
    });
  } catch (error) {
    if (error !== undo) throw error;
  } finally {
    await database.close();
  }
  if (!report) throw new Error("The audit gave no report.");
  return report;
}

/** Triggers and foreign keys are off: a corruption must get past what guards against it. */
const corruption = (change: string) =>
  composedSql(`test.corruption-${randomUUID()}`, {
    takes: [],
    gives: {},
    text: `do $$ begin set local session_replication_role = replica; ${change}; end $$`,
  });

const violationsOf = ({ violations }: AuditReport): Record<string, string> =>
  Object.fromEntries(violations.map(({ check, what }) => [check, what]));

test("a day without faults leaves clean books, and every check looked at something", async () => {
  const { violations, rows, checks: count, open } = await auditOf(lived.shop.databaseUrl);
  expect(violations).toEqual([]);
  expect(count).toBe(checks.length);
  expect(Object.keys(rows).toSorted()).toEqual(checks.map(({ id }) => id).toSorted());
  for (const [check, looked] of Object.entries(rows))
    expect({ check, looked: looked > 0 }).toEqual({ check, looked: true });
  expect(Object.values(open ?? {}).every((count) => count === 0)).toBe(true);
});

/** By check: one change that it must find, and whom it must name. */
const corruptions: Record<string, (it: LivedShop) => { change: string; names: string }> = {
  "stock.within-received": ({ plain }) => ({
    change: `alter table inventory.stock drop constraint taken_within_received;
      update inventory.stock set received = 1 where sku = '${plain}'`,
    names: plain,
  }),
  "stock.ledger": ({ limited }) => ({
    change: `update inventory.stock set received = received + 1 where sku = '${limited}'`,
    names: limited,
  }),
  "stock.receipts": ({ limited }) => ({
    change: `update inventory.receipt set units = units + 1 where sku = '${limited}'`,
    names: limited,
  }),
  "stock.adjustments": ({ limited }) => ({
    change: `update inventory.adjustment set units = units - 1 where sku = '${limited}'`,
    names: limited,
  }),
  "stock.locations": ({ limited }) => ({
    change: `update inventory.stock_at set received = received + 1 where sku = '${limited}' and location = 'north'`,
    names: `${limited} at north`,
  }),
  "stock.named-units": () => ({
    change: "update inventory.unit set state = 'FREE', hold_id = null where sku = 'HALL' and unit = 'A-2'",
    names: "unit A-2 of SKU HALL is FREE",
  }),
  "stock.held-in-time": ({ held }) => ({
    change: `update inventory.allocation set expires_at = now() - interval '1 hour' where allocation_id = '${held}'`,
    names: held,
  }),
  "stock.transfers": ({ limited }) => ({
    change: `update inventory.transfer set units = units + 1 where sku = '${limited}'`,
    names: limited,
  }),
  "stock.holds": ({ confirmed, plain }) => ({
    change: `update inventory.hold set units = units + 1 where allocation_id = '${confirmed}' and sku = '${plain}'`,
    names: confirmed,
  }),
  "stock.sums": ({ confirmed, plain }) => ({
    change: `update inventory.allocation set state = 'HELD' where allocation_id = '${confirmed}'`,
    names: plain,
  }),
  "stock.once": ({ confirmed }) => ({
    change: `insert into inventory.movement (sku, kind, received_delta, held_delta, sold_delta, quarantined_delta, in_transit_delta, order_id,
        hold_id, location)
      select sku, kind, 0, 0, 0, 0, 0, order_id, hold_id, location from inventory.movement where order_id = '${confirmed}' and kind = 'SOLD'`,
    names: confirmed,
  }),
  "stock.sold-to-orders": ({ returned }) => ({
    change: `update inventory.allocation set state = 'RELEASED' where allocation_id = '${returned}'`,
    names: returned,
  }),
  "stock.ended-hold-nothing": ({ confirmed }) => ({
    change: `update orders.orders set status = 'REJECTED', reason = 'SOLD_OUT' where order_id = '${confirmed}'`,
    names: confirmed,
  }),
  "stock.limits": ({ limited }) => ({
    change: `update inventory.buyer_take set units = units + 1 where sku = '${limited}'`,
    names: limited,
  }),
  "stock.returned-units": ({ returned }) => ({
    change: `update orders.order_line set returned_quantity = 0 where order_id = '${returned}'`,
    names: returned,
  }),
  "stock.found-units": ({ inspectedReturn }) => ({
    change: `update inventory.movement set kind = 'RETURNED' where document_id = '${inspectedReturn}' and kind = 'WRITTEN_OFF'`,
    names: inspectedReturn,
  }),
  "orders.rebuilt": ({ confirmed }) => ({
    change: `update orders.orders set progress = 'undone' where order_id = '${confirmed}'`,
    names: confirmed,
  }),
  "money.balanced": ({ confirmed }) => ({
    change: `delete from payments.ledger_entry where order_id = '${confirmed}' and account = 'orders'`,
    names: confirmed,
  }),
  "money.booked": ({ returned }) => ({
    change: `update payments.payment set refunded_minor = refunded_minor + 1 where order_id = '${returned}'`,
    names: returned,
  }),
  "money.orders-paid": ({ confirmed }) => ({
    change: `update orders.orders set paid_minor = paid_minor - 1 where order_id = '${confirmed}'`,
    names: confirmed,
  }),
  "money.returns": ({ returned }) => ({
    change: `update orders.order_return set refund_minor = refund_minor + 1 where order_id = '${returned}'`,
    names: returned,
  }),
  "provider.ledger": ({ cancelled }) => ({
    change: `update payments.ledger_entry set amount_minor = amount_minor * 2
      where order_id = '${cancelled}' and movement like 'refund%'`,
    names: cancelled,
  }),
  "wallet.balanced": ({ member }) => ({
    change: `alter table wallet.entry drop constraint sums_to_zero;
      update wallet.entry set available_minor = available_minor + 1 where person_id = '${member}' and kind = 'CREDITED'`,
    names: member,
  }),
  "wallet.balances": ({ member }) => ({
    change: `update wallet.balance set available_minor = available_minor + 1 where person_id = '${member}'`,
    names: member,
  }),
  "wallet.lots": ({ member }) => ({
    change: `update wallet.lot set remaining_minor = remaining_minor + 1 where person_id = '${member}' and source = 'VOUCHER'`,
    names: member,
  }),
  "wallet.vouchers": ({ voucherBatch }) => ({
    change: `update wallet.voucher set remaining_minor = remaining_minor - 1 where batch_id = '${voucherBatch}' and is_open`,
    names: voucherBatch,
  }),
  "wallet.orders": ({ split }) => ({
    change: `update wallet.order_part set given_back_minor = 0 where order_id = '${split}'`,
    names: split,
  }),
  "wallet.ended-hold-nothing": ({ split }) => ({
    change: `update wallet.order_points set state = 'HELD' where order_id = '${split}'`,
    names: split,
  }),
  "wallet.orders-paid": ({ unspent }) => ({
    change: `delete from wallet.entry where order_id = '${unspent}' and kind = 'GIVEN_BACK'`,
    names: unspent,
  }),
  "wallet.earned": ({ split }) => ({
    change: `delete from wallet.entry where order_id = '${split}' and kind = 'EARNED'`,
    names: split,
  }),
  "wallet.once": ({ split }) => ({
    change: `insert into wallet.entry (kind, person_id, currency, available_minor, held_minor, debt_minor, voucher_minor, shop_minor, order_id)
      select kind, person_id, currency, 0, 0, 0, 0, 0, order_id from wallet.entry where order_id = '${split}' and kind = 'HELD'`,
    names: split,
  }),
  "orders.end-in-time": ({ confirmed }) => ({
    change: `update orders.orders set status = 'PENDING', placed_at = now() - interval '1 hour' where order_id = '${confirmed}'`,
    names: confirmed,
  }),
  "orders.history": ({ rejected }) => ({
    change: `delete from orders.order_history where order_id = '${rejected}' and version = 1`,
    names: rejected,
  }),
  "orders.history-once": ({ confirmed }) => ({
    change: `insert into orders.order_history
      select order_id, version + 100, at, what, told, status, reason, amount_minor, caused_by
      from orders.order_history where order_id = '${confirmed}' and what = 'payment-captured'`,
    names: confirmed,
  }),
  "orders.lines": ({ returned }) => ({
    change: `update orders.orders set total_minor = total_minor + 1 where order_id = '${returned}'`,
    names: returned,
  }),
  "orders.idempotency": ({ cancelled }) => ({
    change: `delete from orders.idempotency_record where body::jsonb ->> 'orderId' = '${cancelled}'`,
    names: cancelled,
  }),
  "orders.deadlines": () => ({
    change: `insert into orders.saga_deadline (saga, key, wait, awaits, due_at)
      values ('order', '00000000-0000-7000-8000-000000000001', 'look', '', now() + interval '1 minute')`,
    names: "00000000-0000-7000-8000-000000000001",
  }),
  "orders.returns": ({ inspectedReturn }) => ({
    change: `update orders.order_return_finding set verdict = 'REFUSED', reason = 'USED'
      where return_id = '${inspectedReturn}' and verdict = 'GOOD'`,
    names: `return ${inspectedReturn}, SKU 10002: 3 were asked for, 3 found and 2 of them taken; 3 are given back`,
  }),
  "orders.products": ({ plain }) => ({
    change: `update orders.product set price_minor = price_minor - 1 where sku = '${plain}'`,
    names: plain,
  }),
  "catalog.shelves": ({ plain }) => ({
    change: `update catalog.shelf set in_stock = not in_stock where sku = '${plain}'`,
    names: plain,
  }),
  "events.contiguous": ({ confirmed }) => ({
    change: `delete from inventory.outbox_online where aggregateid = '${confirmed}' and sequence = 1`,
    names: confirmed,
  }),
  "events.counted": ({ confirmed }) => ({
    change: `update payments.payment set version = version + 1 where order_id = '${confirmed}'`,
    names: confirmed,
  }),
  "events.written": ({ rejected }) => ({
    change: `update orders.outbox_online set type = 'order.cancelled.v1' where aggregateid = '${rejected}' and type = 'order.rejected.v1'`,
    names: rejected,
  }),
  "events.heard": ({ confirmed }) => ({
    change: `delete from notifications.inbox where key = '${confirmed}'`,
    names: confirmed,
  }),
  "events.registered": () => ({
    change: "delete from orders.reader_cursor where source = 'payments'",
    names: "orders does not read the outbox of payments",
  }),
  "events.parked": ({ confirmed }) => ({
    change: `insert into payments.parked_key (reader, aggregate, key, source, state, attempts, next_attempt_at, error)
      values ('payments', 'order', '${confirmed}', 'orders', 'dead', 3, now(), 'it never worked')`,
    names: confirmed,
  }),
  "messages.told": ({ confirmed }) => ({
    change: `delete from notifications.message where order_id = '${confirmed}'`,
    names: confirmed,
  }),
  "messages.named": ({ returned }) => ({
    change: `update notifications.message set event_id = gen_random_uuid() where order_id = '${returned}'`,
    names: returned,
  }),
  "messages.wanted": ({ returned }) => ({
    change: `update notifications.message set buyer_id = gen_random_uuid() where order_id = '${returned}'`,
    names: returned,
  }),
};

describe("each check names the row that was changed", () => {
  test("there is a corruption for every check", () => {
    expect(Object.keys(corruptions).toSorted()).toEqual(checks.map(({ id }) => id).toSorted());
  });

  test.each(Object.keys(corruptions))("%s", async (id) => {
    const { change, names } = corruptions[id]?.(lived) ?? { change: "", names: "" };
    const violations = violationsOf(await auditAfter(change));
    expect(violations[id]).toContain(names);
  });
});

describe("a return", () => {
  const open = "select return_id from orders.order_return where state = 'REQUESTED'";
  test.each([
    ["that has lost its deadline", "delete from orders.saga_deadline where saga = 'return'", "its deadline is at"],
    [
      "that waits while its order is given back",
      `update orders.orders set progress = 'backward authorise-payment' where order_id in (
        select order_id from orders.order_return where state = 'REQUESTED')`,
      "waits to be looked at, and the order is backward",
    ],
    [
      "that asks for more than there is",
      `update orders.order_return_line set quantity = 2 where return_id in (${open})`,
      "3 came back and 2 are asked back, of 4",
    ],
    [
      "that its history does not know",
      `update orders.order_return set state = 'LAPSED', reason = 'TIMED_OUT', ended_at = now() where return_id in (${open});
        delete from orders.saga_deadline where saga = 'return'`,
      "its history says 2, 1 and 0",
    ],
  ])("%s is found", async (_, change, says) => {
    expect(violationsOf(await auditAfter(change))["orders.returns"]).toContain(says);
  });
});

describe("what the provider's ledger shows and ours hides", () => {
  test("a payment that we know nothing of", async () => {
    const change = ["payment", "ledger_entry"].map(
      (table) => `delete from payments.${table} where order_id = '${lived.confirmed}'`,
    );
    const { "provider.ledger": found } = violationsOf(await auditAfter(change.join(";")));
    expect(found).toMatch(`order ${lived.confirmed}: the provider has the payment`);
  });

  test("a movement that we never booked", async () => {
    const change = `delete from payments.ledger_entry where order_id = '${lived.cancelled}' and movement like 'refund%'`;
    const { "provider.ledger": found } = violationsOf(await auditAfter(change));
    expect(found).toMatch(`order ${lived.cancelled}: the provider moved GBP -250`);
  });

  test("a movement that we booked under another payment's name", async () => {
    const change = `update payments.ledger_entry set payment_id = gen_random_uuid() where order_id = '${lived.confirmed}'`;
    const { "provider.ledger": found } = violationsOf(await auditAfter(change));
    expect(found).toMatch("the provider has no such movement");
    expect(found).toMatch("we booked nothing");
  });
});

describe("what can't be checked is a violation, and no crash", () => {
  test("a check that finds no row though there are orders", async () => {
    const violations = violationsOf(await auditAfter("truncate orders.product; truncate catalog.product"));
    expect(violations["orders.products"]).toContain("no row to look at");
  });

  test("a table that is gone: its check says so, the others are run", async () => {
    const { rows, violations } = await auditAfter("drop table inventory.buyer_take");
    expect(violations).toMatchObject([{ check: "stock.limits", what: expect.stringContaining("buyer_take") }]);
    expect(Object.keys(rows)).toHaveLength(checks.length - 1);
  });

  test("a provider that is gone", async () => {
    const shop = { ...lived.shop, providers: lived.shop.providers.map((it) => ({ ...it, url: "http://127.0.0.1:9" })) };
    const { violations } = await audit(shop, { waitMs: 0 });
    expect(violations).toMatchObject([
      { check: "provider.ledger", what: expect.stringContaining("could not be checked") },
    ]);
  });

  test("a provider that refuses us", async () => {
    const [first, second] = lived.shop.providers;
    const providers = [first, { ...second, apiSecret: "wrong" }] as typeof lived.shop.providers;
    const { violations } = await audit({ ...lived.shop, providers }, { waitMs: 0 });
    expect(violations).toMatchObject([{ check: "provider.ledger", what: expect.stringContaining("401") }]);
  });

  test("a database that is gone", async () => {
    const { violations, checks: count } = await auditOf("postgres://nobody@127.0.0.1:9/nothing");
    expect(violations).toMatchObject([{ check: "stores.database" }]);
    expect(count).toBe(checks.length);
  });
});

test("the audit only reads: its transaction refuses a change", async () => {
  const database = openDatabase({ url: lived.shop.databaseUrl, connections: 1, applicationName: "audit" });
  const auditing = database.transaction(async (tx) => {
    await auditSnapshot(tx, lived.shop);
    await tx.execute(corruption("update orders.orders set status = 'CONFIRMED'"), []);
  });
  await expect(auditing).rejects.toThrow("read-only");
  await database.close();
});
