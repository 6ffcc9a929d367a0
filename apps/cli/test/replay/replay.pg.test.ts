import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import type { SagaStyle } from "@onsale/orders";
import { openDatabase, sql, text } from "@onsale/postgres";
import { waitFor } from "@onsale/testing";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { take } from "../../src/holders.ts";
import type { Play } from "../../src/replay/identity.ts";
import { readInvoices } from "../../src/replay/invoice-file.ts";
import { Journal } from "../../src/replay/journal.ts";
import type { PaymentChoice } from "../../src/replay/payment.ts";
import { PlayHeldError, playAndAudit } from "../../src/replay/perform.ts";
import { Planner } from "../../src/replay/plan.ts";
import { isClean, type ReplayReport } from "../../src/replay/report.ts";
import { journalName, LostOrdersError, type ReplayOptions } from "../../src/replay/run.ts";
import { startTestShop, type TestShop } from "../test-shop.ts";
import { fileOf, header } from "./invoices.ts";

const styles = ["orchestrated", "choreographed"] as const;
let shops: Readonly<Record<SagaStyle, TestShop>>;
/** Where nothing is said about who leads the orders. */
let shop: TestShop;

beforeAll(async () => {
  shop = await startTestShop();
  shops = { orchestrated: shop, choreographed: await startTestShop({ saga: "choreographed" }) };
}, 120_000);
afterAll(() => Promise.all(styles.map((style) => shops[style].close())));

/** Files differ in a line that is refused, so that each test plays a play of its own in the one shop. */
let files = 0;

async function optionsFor(
  lines: readonly string[],
  { share = 1, payment = "card", ...more }: { share?: number; payment?: PaymentChoice; ratePerSecond?: number } = {},
) {
  const rows = lines.map((line) => {
    const [invoice, code, quantity, price, customer = ""] = line.split(" ");
    return [invoice, code, `NAME OF ${code}`, quantity, "1/12/2010", price, customer, "United Kingdom"].join(",");
  });
  const file = await fileOf([header, ...rows, `999,TEST ${++files},,1,,1,,`].join("\r\n"));
  const planner = new Planner();
  const { contentHash } = await readInvoices(file, (line) => planner.add(line));
  const play: Play = { contentHash, stockShare: { millionths: share * 1_000_000 }, payment };
  const options: ReplayOptions = {
    plan: planner.finish(),
    play,
    file,
    currency: "GBP",
    buyers: 8,
    ...more,
  };
  return options;
}

const play = (options: ReplayOptions, signal = shop.signal, where = shop): Promise<ReplayReport> =>
  playAndAudit(options, {}, { ...where, signal });

/** A few invoices with everything in them. Every SKU begins with `sku`, so that tests don't sell each other's stock. */
const aDay = (sku: string): string[] => [
  `1 ${sku}A 3 2.50 ann${sku}`,
  `1 POST 1 18.00 ann${sku}`,
  `1 ${sku}A 2 2.75 ann${sku}`,
  `2 ${sku}B 4 1.00`,
  `C3 ${sku}A -1 2.50 ann${sku}`,
  `4 ${sku}B 2 1.00 bob${sku}`,
  `C5 ${sku}B -2 1.00 bob${sku}`,
  `C6 ${sku}C -2 1.00 bob${sku}`,
];

/** What is told of an order from its placing to its end in either style, and what orders tells besides where it leads. */
const told = {
  card: [
    "order.placed",
    "stock.reserved",
    "payment.authorised",
    "stock.confirmed",
    "payment.captured",
    "order.confirmed",
  ],
  wallet: ["order.placed", "stock.reserved", "points.held", "stock.confirmed", "order.confirmed", "points.spent"],
  get split() {
    return [...this.card, "points.held", "points.spent"];
  },
};
const asked = {
  card: ["order.payable", "order.authorised", "order.secured"],
  wallet: ["order.points-payable", "order.authorised"],
  get split() {
    return [...this.card, "order.points-payable"];
  },
};

const eventsSql = sql("test.events-of-confirmed-order", { takes: [text], gives: { type: text } })`
  with one as (
    select order_id::text as key from orders.orders where payment_method = $1 and progress = 'completed' order by order_id limit 1)
  select type from (
    select aggregateid, type from orders.outbox_online union all select aggregateid, type from inventory.outbox_online
    union all select aggregateid, type from payments.outbox_online union all select aggregateid, type from wallet.outbox_online)
    as event join one on one.key = event.aggregateid
  where type not in ('order.returned.v1', 'stock.restocked.v1', 'payment.refunded.v1', 'points.refunded.v1')`;

async function eventsOfOneOrder({ databaseUrl: url }: TestShop, payment: PaymentChoice): Promise<string[]> {
  const database = openDatabase({ url, connections: 1, applicationName: "test" });
  const rows = await database.query(eventsSql, [payment]);
  await database.close();
  return rows.map(({ type }) => type.replace(/\.v1$/, "")).sort();
}

describe.each(styles)("%s", (style) => {
  const playHere = (options: ReplayOptions) => play(options, shop.signal, shops[style]);

  test("every order ends, what comes back is refunded, and the books are clean", async () => {
    const report = await playHere(await optionsFor(aDay("10000")));
    expect(report).toMatchObject({
      changed: true,
      lines: 9,
      invoices: 7,
      orders: { submitted: 3, confirmed: 2, rejected: 0, cancelled: 1, pending: 0 },
      refusedLines: { SERVICE_CODE: 2, NO_EARLIER_SALE: 1 },
      repricedLines: 1,
      returns: { accepted: 2, refused: {} },
      // 5 at 2.50, 4 at 1.00, 2 at 1.00; back come 1 at 2.50 and 2 at 1.00.
      money: { currency: "GBP", capturedMinor: 1_850, refundedMinor: 450 },
      stock: { receivedUnits: 11, soldUnits: 11, returnedUnits: 3 },
      notAccepted: [],
      audit: { violations: [] },
    });
    expect(isClean(report)).toBe(true);
  });

  test.each(["wallet", "split"] as const)("paid by %s, what comes back goes where it came from", async (payment) => {
    const report = await playHere(await optionsFor(aDay(payment === "wallet" ? "11000" : "12000"), { payment }));
    // Of customers' 12.50 and 2.00, the guest's 4.00 is by card; back come 2.50 of the one and all of the other.
    const { money } = report;
    expect(report).toMatchObject({ orders: { confirmed: 2, cancelled: 1, pending: 0 }, returns: { accepted: 2 } });
    expect(money).toMatchObject(
      payment === "wallet"
        ? { capturedMinor: 400, refundedMinor: 0, pointsSpentMinor: 1_450, pointsReturnedMinor: 450 }
        : { capturedMinor: 1_125, refundedMinor: 225, pointsSpentMinor: 725, pointsReturnedMinor: 225 },
    );
    expect(report.audit.violations).toEqual([]);
  });

  test.each(["card", "wallet", "split"] as const)("an order by %s is told of by no more and no less", async (by) => {
    const expected = style === "orchestrated" ? [...told[by], ...asked[by]] : told[by];
    expect(await eventsOfOneOrder(shops[style], by)).toEqual([...expected].sort());
  });
});

describe("the same play again", () => {
  const counts = ({ seconds: _, ordersPerSecond: __, audit: ___, changed: ____, ...rest }: ReplayReport) => rest;

  test("changes nothing and counts the same", async () => {
    const options = await optionsFor(aDay("20000"));
    const first = await play(options);
    const again = await play(options);
    expect(again.changed).toBe(false);
    expect(counts(again)).toEqual(counts(first));
    expect(again.audit.rows["orders.lines"]).toBe(first.audit.rows["orders.lines"]);
  });

  test("finds everything by its keys when its journal is gone", async () => {
    const options = await optionsFor(aDay("30000").filter((line) => !line.startsWith("2 ")));
    const first = await play(options);
    await rm(join(shop.data, "replay", journalName(options.play)));
    const again = await play(options);
    expect(again.changed).toBe(false);
    expect(counts(again)).toEqual(counts(first));
  });

  test("knows how guests' orders ended when their tokens have run out", async () => {
    const options = await optionsFor(["1 80000A 3 1.00", "2 80000A 1 1.00 ann"]);
    const first = await play(options);
    const path = join(shop.data, "replay", journalName(options.play));
    const before = await Journal.open(path);
    await before.close();
    await rm(path);
    const after = await Journal.open(path);
    for (const entry of before.entries) {
      await after.append(entry.kind === "guest" ? { ...entry, accessToken: "run.out" } : entry);
    }
    await after.close();
    const again = await play(options);
    expect(again.changed).toBe(false);
    expect(counts(again)).toEqual(counts(first));
  });

  test("with another share of stock is another play", async () => {
    const lines = ["1 40000A 5 1.00 ann", "C2 40000A -1 1.00 ann"];
    const some = await play(await optionsFor(lines, { share: 0.6 }));
    expect(some).toMatchObject({
      orders: { submitted: 1, confirmed: 0, rejected: 1 },
      returns: { accepted: 0, refused: { ORDER_NOT_CONFIRMED: 1 } },
      stock: { receivedUnits: 3, soldUnits: 0, returnedUnits: 0 },
      money: { capturedMinor: 0, refundedMinor: 0 },
    });
    expect(isClean(some)).toBe(true);
  });
});

const acceptedIn = async ({ play }: ReplayOptions): Promise<number> => {
  const journal = await readFile(join(shop.data, "replay", journalName(play)), "utf8");
  return journal.split('"kind":"order"').length - 1;
};

describe("after a break", () => {
  const crowd = (sku: string) => Array.from({ length: 60 }, (_, index) => `${index} ${sku}A 1 1.00`);

  test("it goes on where it stopped, and no invoice is ordered twice", async () => {
    const options = await optionsFor(crowd("50000"), { ratePerSecond: 100 });
    const before = (await play(await optionsFor([]))).audit.rows["orders.lines"] ?? 0;
    const stop = new AbortController();
    const playing = play(options, stop.signal);
    const accepted = waitFor(async () => (await acceptedIn(options)) >= 20, { what: "20 accepted orders" });
    await Promise.race([accepted, playing]);
    stop.abort(new Error("the power went out"));
    await expect(playing).rejects.toThrow("the power went out");
    const report = await play(options);
    expect(report).toMatchObject({ orders: { submitted: 60, confirmed: 60, pending: 0 }, audit: { violations: [] } });
    expect(report.audit.rows["orders.lines"]).toBe(before + 60);
  });

  test("while it is played, nobody else plays the same", async () => {
    const options = await optionsFor(aDay("65000"));
    const other = await take(join(shop.data, "holders", "replay", journalName(options.play)), "replay");
    if ("holder" in other) throw new Error("Somebody plays it.");
    await expect(play(options)).rejects.toThrow(PlayHeldError);
    await expect(play(options)).rejects.toThrow(`is being played into this shop already, by process ${process.pid}`);
    // Nor does it touch the providers, whose faults are the other's: of those here nobody would answer.
    const unreachable = shop.providers.map((provider) => ({ ...provider, url: "http://127.0.0.1:1" }));
    const bold = playAndAudit(options, { faults: true }, { ...shop, providers: unreachable });
    await expect(bold).rejects.toThrow(PlayHeldError);
    await other.release();
    expect(await play(options)).toMatchObject({ orders: { submitted: 3, pending: 0 } });
  });

  test("an accepted order that the shop lost is told, before anything is sent", async () => {
    const options = await optionsFor(["1 60000A 1 1.00 ann", "2 60000B 1 1.00 ann"]);
    const journal = await Journal.open(join(shop.data, "replay", journalName(options.play)));
    const orderId = "00000000-0000-7000-8000-000000000001";
    await journal.append({ kind: "order", invoice: "2", idempotencyKey: "a key", orderId });
    await journal.close();
    const playing = play(options);
    await expect(playing).rejects.toBeInstanceOf(LostOrdersError);
    await expect(playing).rejects.toThrow(
      "1 accepted orders are lost: the shop does not know the orders of the invoices 2.",
    );
    expect((await fetch(`${shop.url}/v1/products/60000A`)).status).toBe(404);
  });
});

test("an order that the shop does not take is told with its reason, and the play is not clean", async () => {
  const report = await play(await optionsFor(["1 70000A 1000000 9000000.00 ann", "2 70000B 1 1.00 ann"]));
  expect(report.notAccepted).toEqual([{ invoice: "1", why: expect.stringContaining("TOTAL_TOO_LARGE") }]);
  expect(report.orders).toMatchObject({ submitted: 2, confirmed: 1, pending: 1 });
  expect(isClean(report)).toBe(false);
});
