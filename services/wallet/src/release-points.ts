import type { OrderId } from "@onsale/contracts/ids";
import type { stockLapsed } from "@onsale/contracts/inventory";
import type { orderWithdrawn } from "@onsale/contracts/orders";
import type { paymentCaptureRefused, paymentDeclined } from "@onsale/contracts/payments";
import { pointsReleased } from "@onsale/contracts/wallet";
import { type BasePorts, causedBy, type Delivered, fact, publish } from "@onsale/messaging";
import type { Transaction } from "@onsale/postgres";
import { afterRefund, type Earning } from "./earning.ts";
import { type GivenBack, type OrderPart, type OrderPoints, partsBack, whenWithdrawn } from "./order-points.ts";
import type { OpenPurses } from "./purse.ts";
import { lockEarnings, updateEarnings } from "./store/earning.ts";
import { giveBackParts, insertOrderPoints, lockOrderPoints, partsOf, updateOrderPoints } from "./store/order-points.ts";
import { lockPurses, storePurses } from "./store/purse.ts";
import { telemetry } from "./telemetry.ts";

type Withdrawn = Delivered<
  typeof orderWithdrawn | typeof stockLapsed | typeof paymentDeclined | typeof paymentCaptureRefused
>;

/** An order whose points are taken no longer, and what of them goes back now. */
interface Released {
  readonly order: OrderPoints;
  readonly move: "RELEASED" | "GIVEN_BACK" | null;
  readonly back: readonly GivenBack[];
  readonly event: Withdrawn;
}

/**
 * Gives withdrawn orders' points back to the lots they came from, be they held or spent, and takes back what the orders
 * earned. Of an order that never wanted points nothing is told. One that will want some, but ended before it could, is
 * marked, so that nothing is held for it when it does.
 */
export async function releasePoints(
  tx: Transaction,
  withdrawn: readonly Withdrawn[],
  { clock }: Pick<BasePorts, "clock">,
): Promise<void> {
  const events = new Map(withdrawn.map((event) => [event.data.orderId, event]));
  const orderIds = [...events.keys()];
  const [orders, parts, earnings] = await Promise.all([
    lockOrderPoints(tx, orderIds),
    partsOf(tx, orderIds),
    lockEarnings(tx, orderIds),
  ]);
  const released = orders.flatMap((order) => release(order, parts.get(order.orderId) ?? [], events.get(order.orderId)));
  const earned = [...earnings.values()];
  await buryUnwanted(tx, withdrawn, new Set(orders.map(({ orderId }) => orderId)));
  if (released.length + earned.length === 0) return;
  const purses = await lockPurses(tx, [
    ...released.filter(({ move }) => move !== null).map(({ order }) => order),
    ...earned,
  ]);

  const now = clock.now();
  for (const { order, move, back } of released) {
    if (move !== null) purses.get(order).putBack(move, back, now, { orderId: order.orderId });
  }
  const notEarned = earned.map((earning) => unearn(purses, earning));

  await Promise.all([
    updateOrderPoints(tx, released.map(afterRelease)),
    giveBackParts(
      tx,
      released.flatMap(({ order: { orderId }, back }) => back.map((part) => ({ orderId, ...part }))),
    ),
    updateEarnings(tx, notEarned),
    storePurses(tx, purses),
    publish(tx, released.map(announcement)),
  ]);
  tx.afterCommit(() => {
    telemetry.pointsReleased({ count: released.length });
    if (notEarned.length > 0) telemetry.pointsTakenBack({ count: notEarned.length });
  });
}

function release(order: OrderPoints, parts: readonly OrderPart[], event: Withdrawn | undefined): Released[] {
  const move = whenWithdrawn(order);
  if (event === undefined || move === undefined) return [];
  return [{ order, move, back: move === null ? [] : partsBack(parts, order.amountMinor), event }];
}

/** Nothing of the order's money stays, so nothing that it earned does. */
function unearn(purses: OpenPurses, earning: Earning): Earning {
  const { after, takeBackMinor } = afterRefund(earning, earning.paidMinor);
  purses.get(earning).takeBack(takeBackMinor, earning.lotId, { orderId: earning.orderId });
  return after;
}

/** An order that was refused its points never had any. */
const afterRelease = ({ order: { orderId, version, state }, move }: Released) => ({
  orderId,
  state: move === null ? state : ("RELEASED" as const),
  version: version + 1,
});

/** Where nobody leads an order, its end may be heard before its stock. */
async function buryUnwanted(
  tx: Transaction,
  withdrawn: readonly Withdrawn[],
  known: ReadonlySet<OrderId>,
): Promise<void> {
  const buried = withdrawn.flatMap((event) => {
    const dues = event.type === "order.withdrawn.v1" ? event.data.dues : undefined;
    const { orderId } = event.data;
    if (dues === undefined || dues.pointsMinor === 0 || known.has(orderId)) return [];
    const { buyerId: personId, currency, pointsMinor: amountMinor } = dues;
    return [{ orderId, personId, currency, amountMinor, state: "REFUSED" as const, parts: [], cause: causedBy(event) }];
  });
  if (buried.length === 0) return;
  const told = buried.map(({ orderId, currency, cause }) =>
    fact(pointsReleased, { data: { orderId, returnedMinor: 0, currency }, sequence: 1, cause }),
  );
  await Promise.all([insertOrderPoints(tx, buried), publish(tx, told)]);
}

function announcement({ order: { orderId, currency, version }, back, event }: Released) {
  const returnedMinor = back.reduce((sum, { amountMinor }) => sum + amountMinor, 0);
  return fact(pointsReleased, {
    data: { orderId, returnedMinor, currency },
    sequence: version + 1,
    cause: causedBy(event),
  });
}
