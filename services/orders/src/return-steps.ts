/** The steps that a return adds to its order's history. None of them moves the order itself. Pure. */

import type { ReturnId } from "@onsale/contracts/ids";
import {
  orderReturned,
  orderReturnLapsed,
  orderReturnRefused,
  orderReturnRequested,
  type ReturnLapse,
} from "@onsale/contracts/orders";
import type { Instant } from "@onsale/contracts/time";
import { fact } from "@onsale/messaging";
import type { Static } from "typebox";
import type { Refund } from "./allocation.ts";
import type { News } from "./news.ts";
import { type Circumstances, type Order, type OrderStep, takeStep } from "./order.ts";
import type { RefusedLine } from "./return-inspection.ts";
import type { ReturnedLine } from "./returns.ts";

type When = Pick<Circumstances, "at" | "cause">;
export type LapseReason = Static<typeof ReturnLapse>;

/** The buyer wants to send these units back. */
export function requestStep(
  order: Order,
  { returnId, lines, lapsesAt }: { returnId: ReturnId; lines: readonly ReturnedLine[]; lapsesAt: Instant },
  when: When,
): OrderStep {
  const { orderId, buyerId } = order;
  const data = { orderId, buyerId, returnId, lines: lines.map(inUnits), lapsesAt };
  return still(order, (rest) => fact(orderReturnRequested, { data, ...rest }), { what: "return-requested" }, when);
}

/** What the history calls it when units come back: at once, after somebody looked at them, or because they never left. */
export type ReturnedBy = "goods-returned" | "return-accepted" | "lines-cancelled";

/** Units come back, and are paid back. */
export function returnStep(
  order: Order,
  {
    returnId,
    what,
    lines,
    refundMinor,
    pointsMinor,
  }: { readonly returnId: ReturnId; readonly what: ReturnedBy; readonly lines: readonly ReturnedLine[] } & Refund,
  when: When,
): OrderStep {
  const { orderId, currency } = order;
  const data = { orderId, returnId, lines: lines.map(inUnits), refundMinor, pointsMinor, currency };
  const news = { what, money: { kind: "refunded", of: "card", amountMinor: refundMinor + pointsMinor } } as const;
  return still(order, (rest) => fact(orderReturned, { data, ...rest }), news, when);
}

/** Units were looked at, and are not taken. */
export function refusalStep(
  order: Order,
  { returnId, lines }: { readonly returnId: ReturnId; readonly lines: readonly RefusedLine[] },
  when: When,
): OrderStep {
  const { orderId, buyerId } = order;
  const data = { orderId, buyerId, returnId, lines: lines.map(inUnits) };
  return still(order, (rest) => fact(orderReturnRefused, { data, ...rest }), { what: "return-refused" }, when);
}

/** Nobody has looked at them, and nobody will. */
export function lapseStep(
  order: Order,
  { returnId, reason }: { readonly returnId: ReturnId; readonly reason: LapseReason },
  when: When,
): OrderStep {
  const { orderId, buyerId } = order;
  const data = { orderId, buyerId, returnId, reason };
  return still(order, (rest) => fact(orderReturnLapsed, { data, ...rest }), { what: "return-lapsed" }, when);
}

function still(
  order: Order,
  tell: Parameters<typeof takeStep>[1],
  news: Pick<News, "what" | "money">,
  when: When,
): OrderStep {
  return { ...takeStep(order, tell, news, when), arm: [], ended: false };
}

const inUnits = <Line extends { readonly quantity: number }>({ quantity, ...line }: Line) => ({
  ...line,
  units: quantity,
});
