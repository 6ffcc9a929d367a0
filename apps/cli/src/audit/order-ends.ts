/** How orders ended, each read from every store that has something to do with it. */

import { array, bigint, nullable, type Queryable, sql, text, uuid } from "@onsale/postgres";
import type { LedgerPayment } from "@onsale/provider-sim";
import { type ProviderAddress, readProviderLedger } from "./provider-ledger.ts";

const orderEndsSql = sql("audit.order-ends", {
  takes: [array(uuid)],
  gives: {
    ...{ orderId: uuid, status: text, reason: nullable(text), progress: text, totalMinor: bigint, units: bigint },
    ...{ paidMinor: bigint, refundedMinor: bigint, paidPointsMinor: bigint, refundedPointsMinor: bigint },
    ...{ paymentStatus: nullable(text), capturedMinor: bigint, givenBackMinor: bigint },
    ...{ pointsKeptMinor: bigint, pointsHeldMinor: bigint, stock: nullable(text), sold: bigint, held: bigint },
    ...{ messages: bigint, openTasks: bigint },
  },
})`
  with points as (
    select order_id, sum(held_minor)::bigint as held,
      coalesce(sum(shop_minor) filter (where shop_account = 'revenue'), 0)::bigint as kept
    from wallet.entry where order_id = any($1) group by order_id),
  moved as (
    select order_id, sum(sold_delta) as sold, sum(held_delta) as held
    from inventory.movement where order_id = any($1) group by order_id)
  select placed.order_id as "orderId", placed.status, placed.reason, placed.progress, placed.total_minor as "totalMinor",
    (select sum(quantity) from orders.order_line as line where line.order_id = placed.order_id) as units,
    placed.paid_minor as "paidMinor", placed.refunded_minor as "refundedMinor",
    placed.paid_points_minor as "paidPointsMinor", placed.refunded_points_minor as "refundedPointsMinor",
    payment.status as "paymentStatus", coalesce(payment.captured_minor, 0) as "capturedMinor",
    coalesce(payment.refunded_minor, 0) as "givenBackMinor",
    coalesce(points.kept, 0) as "pointsKeptMinor", coalesce(points.held, 0) as "pointsHeldMinor",
    allocation.state as stock, coalesce(moved.sold, 0) as sold, coalesce(moved.held, 0) as held,
    (select count(*) from notifications.message where message.order_id = placed.order_id) as messages,
    (select count(*) from orders.person_task where key = placed.order_id::text and closed_at is null) as "openTasks"
  from orders.orders as placed
  left join payments.payment on payment.order_id = placed.order_id
  left join inventory.allocation on allocation.allocation_id = placed.order_id
  left join points on points.order_id = placed.order_id
  left join moved on moved.order_id = placed.order_id
  where placed.order_id = any($1)`;

/** What a provider's own books have of one order. */
interface AtProvider {
  readonly captures: number;
  readonly capturedMinor: number;
  readonly refundedMinor: number;
  /** Money that it still holds for the order and has not charged. */
  readonly asideMinor: number;
}

const nothing: AtProvider = { captures: 0, capturedMinor: 0, refundedMinor: 0, asideMinor: 0 };

type OwnRow = Awaited<ReturnType<typeof readOwn>>[number];

/** One order in all the books. */
export type OrderEnd = OwnRow & { readonly provider: AtProvider };

const readOwn = (queryable: Queryable, orderIds: readonly string[]) => queryable.query(orderEndsSql, [orderIds]);

// The ledgers have no index by order: each read looks at the whole of them, so it is for hundreds of orders.
const readAtOnce = 500;

/** By order. One that orders does not know is absent. */
export async function readOrderEnds(
  queryable: Queryable,
  providers: readonly ProviderAddress[],
  orderIds: readonly string[],
): Promise<Map<string, OrderEnd>> {
  const ends = new Map<string, OrderEnd>();
  const wanted = new Set(orderIds);
  const atProvider = new Map<string, AtProvider>();
  for (const address of providers) {
    for await (const payment of readProviderLedger(address)) {
      const { reference } = payment;
      if (wanted.has(reference)) atProvider.set(reference, plus(atProvider.get(reference) ?? nothing, payment));
    }
  }
  for (let from = 0; from < orderIds.length; from += readAtOnce) {
    for (const row of await readOwn(queryable, orderIds.slice(from, from + readAtOnce)))
      ends.set(row.orderId, { ...row, provider: atProvider.get(row.orderId) ?? nothing });
  }
  return ends;
}

const plus = (sum: AtProvider, { status, amountMinor, capturedMinor, refundedMinor, movements }: LedgerPayment) => ({
  captures: sum.captures + movements.filter(({ kind, refused }) => kind === "capture" && refused === undefined).length,
  capturedMinor: sum.capturedMinor + capturedMinor,
  refundedMinor: sum.refundedMinor + refundedMinor,
  asideMinor: sum.asideMinor + (status === "authorised" ? amountMinor : 0),
});

const finals: ReadonlySet<string> = new Set(["CONFIRMED", "REJECTED", "CANCELLED"]);

/** What is not over, or on which two books do not agree; empty where all is well. Pure. */
export function disagreements(end: OrderEnd): string[] {
  const { provider, status } = end;
  const kept = status === "CONFIRMED";
  const tookMinor = end.paidMinor + end.paidPointsMinor;
  const gaveMinor = end.refundedMinor + end.refundedPointsMinor;
  const faults: readonly (readonly [boolean, string])[] = [
    [finals.has(status), `it is ${status} (${end.progress})`],
    [!end.progress.includes("owed"), `something is owed: ${end.progress}`],
    [end.openTasks === 0, `${end.openTasks} tasks wait for a person`],
    [provider.captures <= 1, `the provider charged ${provider.captures} times`],
    [provider.asideMinor === 0, `the provider still holds ${provider.asideMinor}`],
    [agree(end.paidMinor, end.capturedMinor, provider.capturedMinor), `charged ${charged(end)}`],
    [agree(end.refundedMinor, end.givenBackMinor, provider.refundedMinor), `refunded ${refunded(end)}`],
    [
      end.paidPointsMinor - end.refundedPointsMinor === end.pointsKeptMinor,
      `orders has ${end.paidPointsMinor} points less ${end.refundedPointsMinor}, the wallet ${end.pointsKeptMinor}`,
    ],
    [end.pointsHeldMinor === 0, `the wallet holds ${end.pointsHeldMinor} points`],
    [end.held === 0, `inventory holds ${end.held} units`],
    [kept ? tookMinor === end.totalMinor : tookMinor === gaveMinor, `${tookMinor} taken and ${gaveMinor} given back`],
    [kept ? end.stock === "SOLD" : end.sold === 0, `the stock is ${end.stock}, ${end.sold} of ${end.units} sold`],
  ];
  return faults.flatMap(([holds, fault]) => (holds ? [] : [fault]));
}

const agree = (...amounts: readonly number[]): boolean => amounts.every((amount) => amount === amounts[0]);

const charged = ({ paidMinor, capturedMinor, provider }: OrderEnd): string =>
  `by orders ${paidMinor}, payments ${capturedMinor}, the provider ${provider.capturedMinor}`;
const refunded = ({ refundedMinor, givenBackMinor, provider }: OrderEnd): string =>
  `by orders ${refundedMinor}, payments ${givenBackMinor}, the provider ${provider.refundedMinor}`;

/** The end in one line; orders that ended alike have the same. */
export function endInWords(end: OrderEnd): string {
  const { status, reason, provider, sold, messages } = end;
  const points = `points ${end.paidPointsMinor} - ${end.refundedPointsMinor}`;
  const card = `card ${provider.capturedMinor} - ${provider.refundedMinor}`;
  return `${reason === null ? status : `${status} ${reason}`}, ${card}, ${points}, ${sold} sold, ${messages} told`;
}

/** Whether nothing of the order is with the shop: neither money nor points nor goods are gone. */
export const isTurnedBack = (end: OrderEnd): boolean => end.status === "CANCELLED" && end.sold === 0;
