import type { OrderId, ReturnId } from "@onsale/contracts/ids";
import type { orderReturned } from "@onsale/contracts/orders";
import { pointsRefunded } from "@onsale/contracts/wallet";
import { type BasePorts, type Cause, causedBy, type Delivered, fact, publish } from "@onsale/messaging";
import type { Transaction } from "@onsale/postgres";
import { afterRefund, type Earning } from "./earning.ts";
import { afterGivingBack, type GivenBack, type OrderPart, type OrderPoints, partsBack } from "./order-points.ts";
import type { OpenPurses } from "./purse.ts";
import { lockEarnings, updateEarnings } from "./store/earning.ts";
import {
  giveBackParts,
  insertReturns,
  knownReturns,
  lockOrderPoints,
  partsOf,
  updateOrderPoints,
} from "./store/order-points.ts";
import { lockPurses, storePurses } from "./store/purse.ts";
import { telemetry } from "./telemetry.ts";

type Returned = Delivered<typeof orderReturned>;

/** What the batch is about: the orders' points, their parts and what they earned, as the returns one by one change them. */
interface Books {
  readonly orders: Map<OrderId, OrderPoints>;
  readonly parts: Map<OrderId, OrderPart[]>;
  readonly earnings: Map<OrderId, Earning>;
  readonly purses: OpenPurses;
  readonly now: string;
}

/** A return that was dealt with. */
interface GivenBackReturn {
  readonly orderId: OrderId;
  readonly returnId: ReturnId;
  /** The order's version that tells of it; null where no points were to be given back, and nobody is told. */
  readonly version: number | null;
  readonly currency: string;
  readonly back: readonly GivenBack[];
  readonly cause: Cause;
}

/**
 * Gives points back for returned goods, each return once, to the lots they came from, and takes back what the refunded money
 * had earned. An order that has none any more, because it was withdrawn, is given none: the withdrawal gave them.
 */
export async function giveBackPoints(
  tx: Transaction,
  returned: readonly Returned[],
  { clock }: Pick<BasePorts, "clock">,
): Promise<void> {
  const orderIds = [...new Set(returned.map(({ data }) => data.orderId))];
  const [locked, parts, earnings, known] = await Promise.all([
    lockOrderPoints(tx, orderIds),
    partsOf(tx, orderIds),
    lockEarnings(tx, orderIds),
    knownReturns(
      tx,
      returned.map(({ data }) => data.returnId),
    ),
  ]);
  const orders = new Map(locked.filter(({ state }) => state === "SPENT").map((order) => [order.orderId, order]));
  const fresh = returned.filter(
    ({ data: { orderId, returnId } }) => !known.has(returnId) && (orders.has(orderId) || earnings.has(orderId)),
  );
  if (fresh.length === 0) return;
  const purses = await lockPurses(tx, [...orders.values(), ...earnings.values()]);

  const books = { orders, parts, earnings, purses, now: clock.now() };
  const done = fresh.map((event) => giveBack(books, event));

  await store(tx, books, done);
  tx.afterCommit(() => telemetry.pointsRefunded({ count: done.filter(({ version }) => version !== null).length }));
}

function giveBack(books: Books, event: Returned): GivenBackReturn {
  const { orderId, returnId, pointsMinor, currency } = event.data;
  const earning = books.earnings.get(orderId);
  if (earning !== undefined) unearn(books, earning, event.data);
  const order = books.orders.get(orderId);
  const about = { orderId, returnId, currency, cause: causedBy(event) };
  if (order === undefined || pointsMinor === 0) return { ...about, version: null, back: [] };
  const version = order.version + 1;
  const before = books.parts.get(orderId) ?? [];
  const back = partsBack(before, pointsMinor);
  books.purses.get(order).putBack("GIVEN_BACK", back, books.now, { orderId, documentId: returnId });
  books.parts.set(orderId, afterGivingBack(before, back));
  books.orders.set(orderId, { ...order, version });
  return { ...about, version, back };
}

function unearn({ earnings, purses }: Books, earning: Earning, { returnId, refundMinor }: Returned["data"]): void {
  const { after, takeBackMinor } = afterRefund(earning, refundMinor);
  const { orderId, lotId } = earning;
  purses.get(earning).takeBack(takeBackMinor, lotId, { orderId, documentId: returnId });
  earnings.set(orderId, after);
}

async function store(
  tx: Transaction,
  { orders, earnings, purses }: Books,
  done: readonly GivenBackReturn[],
): Promise<void> {
  await Promise.all([
    insertReturns(
      tx,
      done.map(({ orderId, returnId, back }) => ({ orderId, returnId, givenBackMinor: sumOf(back) })),
    ),
    giveBackParts(
      tx,
      done.flatMap(({ orderId, back }) => back.map((part) => ({ orderId, ...part }))),
    ),
    updateOrderPoints(tx, [...orders.values()]),
    updateEarnings(tx, [...earnings.values()]),
    storePurses(tx, purses),
    publish(tx, done.flatMap(announcement)),
  ]);
}

const sumOf = (back: readonly GivenBack[]): number => back.reduce((sum, { amountMinor }) => sum + amountMinor, 0);

const announcement = ({ orderId, returnId, currency, version, back, cause }: GivenBackReturn) =>
  version === null
    ? []
    : [
        fact(pointsRefunded, {
          data: { orderId, returnId, amountMinor: sumOf(back), currency },
          sequence: version,
          cause,
        }),
      ];
