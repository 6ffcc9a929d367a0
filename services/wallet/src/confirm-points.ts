import type { OrderId } from "@onsale/contracts/ids";
import type { orderConfirmed } from "@onsale/contracts/orders";
import { pointsSpent } from "@onsale/contracts/wallet";
import { causedBy, type Delivered, fact, publish } from "@onsale/messaging";
import type { Transaction } from "@onsale/postgres";
import { type Earning, earnedBy, earnedUntil } from "./earning.ts";
import { borneByTheShop, lotIdOf } from "./lot.ts";
import { type OrderPoints, whenConfirmed } from "./order-points.ts";
import { usualEarnedBasisPoints, type WalletPorts } from "./ports.ts";
import type { OpenPurses } from "./purse.ts";
import { insertEarnings, lockEarnings } from "./store/earning.ts";
import { earnersAmong } from "./store/holder.ts";
import { lockOrderPoints, updateOrderPoints } from "./store/order-points.ts";
import { lockPurses, openBalances, storePurses } from "./store/purse.ts";
import { telemetry } from "./telemetry.ts";

type Confirmed = Delivered<typeof orderConfirmed>;

/** Spends what is held for confirmed orders, and gives their buyers what they earned by the money that they paid. */
export async function confirmPoints(
  tx: Transaction,
  confirmed: readonly Confirmed[],
  { clock, earnedBasisPoints = usualEarnedBasisPoints }: WalletPorts,
): Promise<void> {
  const paying = confirmed.filter(({ data }) => earnedBy(paidByMoney(data), earnedBasisPoints) > 0);
  const [orders, earners] = await Promise.all([
    // An order by card alone, as most are, has no row here: it is not looked for.
    lockOrderPoints(tx, orderIdsOf(confirmed.filter(({ data }) => data.pointsMinor > 0))),
    earnersAmong(
      tx,
      paying.map(({ data }) => data.buyerId),
    ),
  ]);
  const earning = paying.filter(({ data }) => earners.has(data.buyerId));
  const before = await lockEarnings(tx, orderIdsOf(earning));
  const until = earnedUntil(clock.now());
  const spent = orders.filter((order) => whenConfirmed(order) === "SPENT");
  const earned = earning
    .filter(({ data }) => !before.has(data.orderId))
    .map(({ data }) => earningOf(data, { basisPoints: earnedBasisPoints, until }));
  if (spent.length + earned.length === 0) return;
  await openBalances(tx, earned);
  const purses = await lockPurses(tx, [...spent, ...earned]);

  spend(purses, spent);
  earn(purses, earned, until);

  await store(tx, { purses, spent, earned, causes: new Map(confirmed.map((event) => [event.data.orderId, event])) });
  tellAfterCommit(tx, spent.length, earned.length);
}

const orderIdsOf = (events: readonly Confirmed[]): OrderId[] => events.map(({ data }) => data.orderId);

const paidByMoney = ({ totalMinor, pointsMinor }: Confirmed["data"]): number => totalMinor - pointsMinor;

function earningOf(
  order: Confirmed["data"],
  { basisPoints, until }: { readonly basisPoints: number; readonly until: string },
): Earning {
  const { orderId, buyerId: personId, currency } = order;
  const paidMinor = paidByMoney(order);
  return {
    ...{ orderId, personId, currency, paidMinor, basisPoints },
    lotId: lotIdOf("EARNED", personId, currency, until),
    earnedMinor: earnedBy(paidMinor, basisPoints),
    refundedMinor: 0,
    takenBackMinor: 0,
  };
}

function spend(purses: OpenPurses, orders: readonly OrderPoints[]): void {
  for (const { orderId, amountMinor, ...key } of orders) purses.get(key).spend(amountMinor, { orderId });
}

function earn(purses: OpenPurses, earned: readonly Earning[], expiresAt: string): void {
  for (const { orderId, lotId, earnedMinor, ...key } of earned) {
    const lot = { lotId, source: "EARNED", bearers: borneByTheShop, expiresAt } as const;
    purses.get(key).charge("EARNED", lot, earnedMinor, { orderId });
  }
}

interface Outcome {
  readonly purses: OpenPurses;
  readonly spent: readonly OrderPoints[];
  readonly earned: readonly Earning[];
  readonly causes: ReadonlyMap<OrderId, Confirmed>;
}

async function store(tx: Transaction, { purses, spent, earned, causes }: Outcome): Promise<void> {
  const after = spent.map((order): OrderPoints => ({ ...order, state: "SPENT", version: order.version + 1 }));
  const told = after.flatMap(({ orderId, amountMinor, currency, version: sequence }) => {
    const event = causes.get(orderId);
    return event
      ? [fact(pointsSpent, { data: { orderId, amountMinor, currency }, sequence, cause: causedBy(event) })]
      : [];
  });
  await Promise.all([
    updateOrderPoints(tx, after),
    insertEarnings(tx, earned),
    storePurses(tx, purses),
    publish(tx, told),
  ]);
}

function tellAfterCommit(tx: Transaction, spent: number, earned: number): void {
  tx.afterCommit(() => {
    if (spent > 0) telemetry.pointsSpent({ count: spent });
    if (earned > 0) telemetry.pointsEarned({ count: earned });
  });
}
