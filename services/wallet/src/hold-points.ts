import type { OrderId } from "@onsale/contracts/ids";
import type { stockReserved } from "@onsale/contracts/inventory";
import type { Dues, orderPointsPayable } from "@onsale/contracts/orders";
import type { Instant } from "@onsale/contracts/time";
import { pointsHeld, pointsRefused } from "@onsale/contracts/wallet";
import { type Cause, causedBy, type Delivered, fact, publish } from "@onsale/messaging";
import type { Transaction } from "@onsale/postgres";
import type { Static } from "typebox";
import type { OpenPurses, Part, PurseKey } from "./purse.ts";
import { insertOrderPoints, knownOrders } from "./store/order-points.ts";
import { lockPurses, storePurses } from "./store/purse.ts";
import { telemetry } from "./telemetry.ts";

type Payable = Delivered<typeof orderPointsPayable | typeof stockReserved>;

/** What an order would like to have of its buyer's points. */
interface Wish extends PurseKey {
  readonly orderId: OrderId;
  readonly amountMinor: number;
  /** When the order said so. */
  readonly at: Instant;
  readonly cause: Cause;
  /** Of a choreographed order: what whoever hears of the held points has to know. */
  readonly dues?: Static<typeof Dues>;
}

type Decision = Wish & { readonly state: "HELD" | "REFUSED"; readonly parts: readonly Part[] };

/** Sets points aside for a batch of orders, in the order in which they came; each gets all that it wants or nothing. */
export async function holdPoints(tx: Transaction, payable: readonly Payable[]): Promise<void> {
  const wishes = payable.flatMap(toWish);
  if (wishes.length === 0) return;
  const [known, purses] = await Promise.all([
    knownOrders(
      tx,
      wishes.map(({ orderId }) => orderId),
    ),
    lockPurses(tx, wishes),
  ]);
  const fresh = wishes.filter(({ orderId }) => !known.has(orderId));
  if (fresh.length === 0) return;

  const decisions = decideHolds(purses, fresh);

  await Promise.all([
    insertOrderPoints(tx, decisions),
    storePurses(tx, purses),
    publish(tx, decisions.map(announcement)),
  ]);
  tellAfterCommit(tx, decisions);
}

function toWish(event: Payable): Wish[] {
  const rest = { at: event.time, cause: causedBy(event) };
  if (event.type === "order.points-payable.v1") {
    const { orderId, buyerId: personId, amountMinor, currency } = event.data;
    return [{ orderId, personId, amountMinor, currency, ...rest }];
  }
  const { orderId, dues } = event.data;
  // A card pays for all of it, or its steps are led.
  if (dues === undefined || dues.pointsMinor === 0) return [];
  const { buyerId: personId, pointsMinor: amountMinor, currency } = dues;
  return [{ orderId, personId, amountMinor, currency, dues, ...rest }];
}

const decideHolds = (purses: OpenPurses, wishes: readonly Wish[]): Decision[] =>
  wishes.map((wish) => {
    // Who never had points, a guest for one, has no purse.
    const parts = purses.find(wish)?.hold(wish.amountMinor, wish.at, { orderId: wish.orderId });
    return { ...wish, state: parts ? "HELD" : "REFUSED", parts: parts ?? [] };
  });

function announcement({ orderId, personId: buyerId, amountMinor, currency, state, cause, dues }: Decision) {
  return state === "HELD"
    ? fact(pointsHeld, { data: { orderId, buyerId, amountMinor, currency, ...(dues && { dues }) }, sequence: 1, cause })
    : fact(pointsRefused, { data: { orderId, reason: "INSUFFICIENT_POINTS" }, sequence: 1, cause });
}

function tellAfterCommit(tx: Transaction, decisions: readonly Decision[]): void {
  const held = decisions.filter(({ state }) => state === "HELD").length;
  tx.afterCommit(() => {
    telemetry.pointsHeld({ count: held });
    if (held < decisions.length) telemetry.pointsRefused({ count: decisions.length - held });
  });
}
