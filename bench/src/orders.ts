/** `onsale bench orders`: whole orders per second, as many as the plain transaction of PostgreSQL, or how many fewer. */

import { measureOrders, type OrderMeasurement } from "./measure-orders.ts";
import type { LoadOrder } from "./order-load.ts";
import { hasPgbench, preparePlainOrder, readSettings, withClient } from "./plain-order.ts";
import { type BenchReport, type BenchRow, type BenchShop, machine, pairedRow, round } from "./report.ts";
import { logIn, openBuyers, seedProducts } from "./shop-operator.ts";

export const orderRows = ["wallet", "card", "http-wallet", "http-card", "intake"] as const;
export type OrderRow = (typeof orderRows)[number];

export interface OrdersBenchOptions {
  /** Seconds that orders are counted in each pair, after the warm-up. */
  readonly seconds: number;
  /** Measurements of ours and of the limit, in turn. */
  readonly pairs: number;
  readonly rows: readonly OrderRow[];
  readonly say: (words: string) => void;
}

const products = 1_000;
const buyers = 64;
/** Orders accepted and not yet ended: four full batches. */
const window = 4_000;
/** A crowd is accepted in seconds; the shop takes longer to serve it, which no row counts. */
const crowdSeconds = 10;

/** What a row orders, and how it comes in. */
interface RowPlan {
  readonly method: LoadOrder["method"];
  /** By a channel in batches, or by each buyer with a request of its own. */
  readonly from: "channel" | "buyers";
  /** What counts: the order CONFIRMED, or accepted. */
  readonly counts: "confirmed" | "accepted";
  /** Over the plain transaction. */
  readonly goal: number;
}

/**
 * The whole order from a wallet shall be twice as fast as the plain transaction, and by card half as fast. A request of its own
 * for each may halve both, and orders alone shall be accepted as fast as the plain transaction goes: nobody promised
 * these, they are what a prototype of this saga reached with room to spare.
 */
const plans: Readonly<Record<OrderRow, RowPlan>> = {
  wallet: { method: "wallet", from: "channel", counts: "confirmed", goal: 2 },
  card: { method: "card", from: "channel", counts: "confirmed", goal: 0.5 },
  "http-wallet": { method: "wallet", from: "buyers", counts: "confirmed", goal: 1 },
  "http-card": { method: "card", from: "buyers", counts: "confirmed", goal: 0.25 },
  intake: { method: "card", from: "buyers", counts: "accepted", goal: 1 },
};

interface Measured extends OrderMeasurement {
  readonly row: OrderRow;
  readonly perSecond: number;
  readonly plainPerSecond: number;
}

export async function benchOrders(shop: BenchShop, options: OrdersBenchOptions): Promise<BenchReport> {
  const { seconds, pairs, rows, say } = options;
  const settings = await withClient(shop.databaseUrl, readSettings);
  if (!(await hasPgbench())) {
    say("pgbench is not on this machine, so there is no limit to compare with: the rows are absent.");
    return { name: "orders", machine: machine(), rows: [], details: { settings, absent: "pgbench" } };
  }
  const prepare = await prepareLoads(shop, say);
  say("searching the plain transaction's best number of clients");
  const plain = await preparePlainOrder(shop.databaseUrl, { seconds: Math.min(10, seconds), skus: products });
  const measured: Measured[] = [];
  for (let pair = 1; pair <= pairs; pair++) {
    for (const row of rows) {
      const plainPerSecond = round(await plain.measure(Math.min(15, seconds)));
      const { counts } = plans[row];
      const ours = await measureOrders(
        shop,
        prepare(row),
        counts === "accepted" ? Math.min(crowdSeconds, seconds) : seconds,
      );
      const perSecond = counts === "accepted" ? ours.acceptedPerSecond : ours.confirmedPerSecond;
      measured.push({ row, perSecond, plainPerSecond, ...ours });
      say(`pair ${pair} of ${pairs}, ${row}: ${perSecond} orders/s, plain ${plainPerSecond} transactions/s`);
      for (const what of ours.violations) say(`violation: ${what}`);
    }
  }
  await plain.drop();
  return {
    name: "orders",
    machine: machine(),
    rows: rows.map((row) =>
      rowOf(
        row,
        measured.filter((one) => one.row === row),
        `plain transaction, pgbench -M prepared, ${plain.clients} clients`,
      ),
    ),
    details: { measured, plainByClients: plain.curve, settings },
  };
}

/** Fills the shop, and gives what the load of a row is told. */
async function prepareLoads(shop: BenchShop, say: (words: string) => void): Promise<(row: OrderRow) => LoadOrder> {
  const operator = logIn(shop);
  say(`seeding ${products} products`);
  const skus = await seedProducts(operator, products);
  say(`opening the accounts of ${buyers} buyers`);
  const accounts = await openBuyers(shop, operator, buyers);
  return (row) => {
    const { method, from, counts } = plans[row];
    return {
      ...{ url: shop.url, buyers: accounts, method, skus },
      ...(from === "channel" && { channel: shop.operator }),
      window: counts === "accepted" ? null : window,
    };
  };
}

function rowOf(row: OrderRow, measured: readonly Measured[], limit: string): BenchRow {
  const pairs = measured.map(({ perSecond, plainPerSecond }) => ({ value: perSecond, limit: plainPerSecond }));
  const paired = pairedRow(row, pairs, { unit: "orders/s", limit, goal: plans[row].goal });
  return { ...paired, met: paired.met && measured.every(({ violations }) => violations.length === 0) };
}
