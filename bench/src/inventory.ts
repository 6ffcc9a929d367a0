/** `onsale bench inventory`: reservations of one hot product, as the product makes them, beside PostgreSQL's plain order transaction on one. */

import { availableParallelism } from "node:os";
import { whatRedisLacks } from "@onsale/redis/server";
import { wrongBooks } from "./inventory/books.ts";
import { type Crowd, crowd, type GatedShop, openGate } from "./inventory/crowd.ts";
import { type Drained, drain } from "./inventory/drain.ts";
import { type HotShop, openHotShop } from "./inventory/hot-shop.ts";
import { type Steady, steady } from "./inventory/steady.ts";
import { hasPgbench, type PlainOrder, preparePlainOrder, readSettings, withClient } from "./plain-order.ts";
import { type BenchReport, type BenchRow, machine, type Pair, pairedRow, round } from "./report.ts";

export interface InventoryBenchOptions {
  /** Where the data lie meanwhile; removed at the end. Not on a memory disk: durability is part of what is measured. */
  readonly directory: string;
  /** Seconds of the plain transaction, and of each steady load. */
  readonly seconds: number;
  /** Measurements of ours and of the limit, in turn. */
  readonly pairs: number;
  /** Orders that wait for each measurement without the gate, and requests of each crowd before it. */
  readonly orders: number;
  /** Orders a second of the steady loads. */
  readonly perSecond: number;
  readonly say: (words: string) => void;
  /** Throws when the person has ended the command: asked between two measurements. */
  readonly goOn: () => void;
}

/** Reservations on one hot product over plain transactions on one. */
const goal = 20;
/** Of a steady load, from the moment a request is due to its reservation's row, in milliseconds. */
const promisedP95Ms = 50;

/** What was measured of one of the rows. */
interface Measured<Run> {
  readonly runs: readonly Run[];
  readonly steady: Steady;
}

export async function benchInventory(options: InventoryBenchOptions): Promise<BenchReport> {
  const { seconds, say, goOn } = options;
  await using shop = await openHotShop(options.directory);
  const settings = await withClient(shop.url, readSettings);
  if (!(await hasPgbench())) {
    say("pgbench is not on this machine, so there is no limit to compare with: the rows are absent.");
    return { name: "inventory", machine: machine(), rows: [], details: { settings, absent: "pgbench" } };
  }
  const lacking = await whatRedisLacks();
  if (lacking !== undefined) say(`${lacking} The row \`hot redis\` is absent.`);
  await using gate = lacking === undefined ? await openGate(shop, options.directory) : undefined;
  say("searching the plain transaction's best number of clients on one product");
  const plain = await preparePlainOrder(shop.url, { seconds: Math.min(10, seconds), skus: 1 });
  const { limits, drained, crowds } = await measurePairs({ shop, gate, plain }, options);
  await plain.drop();
  goOn();
  const postgres = { runs: drained, steady: await steady(shop, options) };
  goOn();
  const redis = gate && { runs: crowds, steady: await steady(shop, options, gate) };
  say(
    `${options.perSecond} orders/s: p95 ${postgres.steady.p95Ms} ms; with the gate ${redis?.steady.p95Ms ?? "not measured"}`,
  );
  const wrong = [...(await wrongBooks(shop.url)), ...crowds.flatMap((one) => one.wrong)];
  for (const what of wrong) say(`violation: ${what}`);
  const rowOf = <Run extends Drained>(name: string, { runs, steady }: Measured<Run>): BenchRow => {
    const pairs = runs.map(({ perSecond }, index): Pair => ({ value: perSecond, limit: limits[index] ?? 0 }));
    const names = {
      unit: "reservations/s",
      limit: `plain transaction on one product, pgbench, ${plain.clients} clients`,
    };
    const row = pairedRow(name, pairs, { ...names, goal });
    return { ...row, met: row.met && steady.p95Ms <= promisedP95Ms && wrong.length === 0 };
  };
  return {
    name: "inventory",
    machine: machine(),
    rows: [rowOf("hot postgres", postgres), ...(redis ? [rowOf("hot redis", redis)] : [])],
    details: {
      counted:
        "reservations that are committed with their ledger lines and events; who is turned away is counted beside them",
      ...{ plainPerSecond: limits.map((limit) => round(limit)), promisedP95Ms, cores: availableParallelism() },
      ...{ "hot postgres": postgres, "hot redis": redis ?? { absent: "redis-server" } },
      ...{ wrong, plainByClients: plain.curve, settings },
    },
  };
}

interface Sides {
  readonly shop: HotShop;
  readonly gate: GatedShop | undefined;
  readonly plain: PlainOrder;
}

/** The limit, then each of ours, in turn. */
async function measurePairs(
  { shop, gate, plain }: Sides,
  { pairs, orders, seconds, say, goOn }: InventoryBenchOptions,
) {
  const limits: number[] = [];
  const drained: Drained[] = [];
  const crowds: Crowd[] = [];
  await drain(shop, Math.ceil(orders / 5));
  for (let pair = 1; pair <= pairs; pair++) {
    goOn();
    limits.push(await plain.measure(seconds));
    goOn();
    drained.push(await drain(shop, orders));
    goOn();
    if (gate) crowds.push(await crowd(shop, gate, orders));
    const [limit, one, other] = [limits.at(-1) ?? 0, drained.at(-1), crowds.at(-1)];
    say(
      `pair ${pair} of ${pairs}: ${one?.perSecond} reservations/s, behind the gate ${other?.perSecond ?? "not measured"}, ` +
        `plain ${round(limit)} transactions/s`,
    );
  }
  return { limits, drained, crowds };
}
