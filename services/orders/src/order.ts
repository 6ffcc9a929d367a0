/** An order and its steps: what is heard about it, where that takes it, and what is told then. Pure. */

import type { BuyerId, OrderId } from "@onsale/contracts/ids";
import type { AmountMinor, Currency } from "@onsale/contracts/money";
import {
  orderAuthorised,
  orderCancelled,
  orderConfirmed,
  orderPayable,
  orderPointsPayable,
  orderRejected,
  orderSecured,
  orderWithdrawn,
} from "@onsale/contracts/orders";
import type { Instant } from "@onsale/contracts/time";
import { type Cause, fact, type OutgoingEvent } from "@onsale/messaging";
import type { Deadline, Move } from "@onsale/saga";
import type { EndReason, MoneyMoved, News } from "./news.ts";
import {
  deadlinesAfter,
  type OrderMethod,
  type OrderProgress,
  type OrderStepName,
  type SagaStyle,
  type StepTimeoutsMs,
  sagaOf,
} from "./order-saga.ts";

export type OrderStatus = "PENDING" | "CONFIRMED" | "REJECTED" | "CANCELLED";

export interface Order {
  readonly orderId: OrderId;
  readonly buyerId: BuyerId;
  readonly currency: Currency;
  readonly totalMinor: AmountMinor;
  readonly lineCount: number;
  readonly method: OrderMethod;
  /** Who leads its steps, from the first to the last. */
  readonly style: SagaStyle;
  /** The part of the total that is paid with points. */
  readonly pointsMinor: AmountMinor;
  readonly correlationId: string;
  readonly status: OrderStatus;
  /** Why it ends, or is about to end, without being fulfilled. */
  readonly reason: EndReason | null;
  readonly progress: OrderProgress;
  /** When it came to where it stands. */
  readonly progressedAt: Instant;
  /** Counts the steps of its history; the events told about it. */
  readonly version: number;
  readonly eventSequence: number;
  readonly balance: Balance;
}

/** What the buyer has paid and got back, with each instrument. */
export interface Balance {
  /** By card. */
  readonly paidMinor: AmountMinor;
  readonly refundedMinor: AmountMinor;
  readonly paidPointsMinor: AmountMinor;
  readonly refundedPointsMinor: AmountMinor;
}

/** One row of an order's history. */
export interface HistoryEntry {
  readonly orderId: OrderId;
  readonly version: number;
  readonly at: Instant;
  readonly what: string;
  /** The type of the event that this step told, if it told one. */
  readonly told: string | null;
  readonly status: OrderStatus;
  readonly reason: EndReason | null;
  readonly amountMinor: AmountMinor | null;
  readonly causedBy: string | null;
  /** Of the first step: what the order was placed as. */
  readonly placed: Placed | null;
}

/** What an order is from the start, and stays. */
export type Placed = Pick<
  Order,
  "buyerId" | "currency" | "lineCount" | "method" | "style" | "pointsMinor" | "correlationId"
>;

/** One step of an order: the order after it, and everything that has to be written and told together. */
export interface OrderStep {
  readonly order: Order;
  readonly entry: HistoryEntry;
  readonly told?: OutgoingEvent;
  readonly arm: readonly Deadline[];
  /** The order reached an end by this step, and nothing of its way there is waited for any longer. */
  readonly ended: boolean;
  /** Something that had to be given back is known to be given back. */
  readonly settled?: OrderStepName;
  /** Something that has to be given back is not known to be, for too long. */
  readonly call?: OrderStepName;
}

export interface Circumstances {
  readonly at: Instant;
  readonly cause: Cause;
  readonly timeouts: StepTimeoutsMs;
}

/** What the news makes of the order; undefined where it is none: a repeated, late or stray one. */
export function hear(order: Order, news: News, circumstances: Circumstances): OrderStep | undefined {
  const move: Move<OrderStepName> = news.signal
    ? sagaOf(order).advance(order.progress, news.signal)
    : { progress: order.progress, undo: [] };
  const moved = move.progress !== order.progress;
  const balance = balanceAfter(order, news, move);
  // What turned a choreographed order back may be heard after what was undone for it.
  const reason = isTurned(move) ? (order.reason ?? news.reason ?? null) : order.reason;
  const learnt = balance !== order.balance || reason !== order.reason || news.noted === true;
  if (!moved && !learnt && move.call === undefined) return undefined;

  const after: Order = {
    ...order,
    balance,
    reason,
    status: statusAfter(order, move, reason),
    progress: move.progress,
    progressedAt: moved ? circumstances.at : order.progressedAt,
  };
  return {
    ...takeStep(after, tellingOf(move, after), news, circumstances),
    arm: deadlinesAfter(order, order.progress, move.progress, circumstances.at, circumstances.timeouts),
    ended: move.ended !== undefined,
    ...(move.settled !== undefined && { settled: move.settled }),
    ...(move.call !== undefined && { call: move.call }),
  };
}

const isTurned = ({ progress: { phase } }: Move<OrderStepName>): boolean => phase === "backward" || phase === "undone";

type Telling = (rest: { readonly sequence: number; readonly cause: Cause }) => OutgoingEvent;

/** Counts an order's step, writes its line of history, and gives the event told by it its number. */
export function takeStep(
  order: Order,
  tell: Telling | undefined,
  { what, money }: Pick<News, "what" | "money">,
  { at, cause }: Pick<Circumstances, "at" | "cause">,
): Pick<OrderStep, "order" | "entry" | "told"> {
  const { orderId, status, reason } = order;
  const version = order.version + 1;
  const eventSequence = order.eventSequence + (tell ? 1 : 0);
  const told = tell?.({ sequence: eventSequence, cause });
  return {
    order: { ...order, version, eventSequence },
    entry: {
      orderId,
      version,
      at,
      what,
      told: told?.event.type ?? null,
      status,
      reason,
      amountMinor: money?.amountMinor ?? null,
      causedBy: cause.causationId ?? null,
      placed: null,
    },
    ...(told && { told }),
  };
}

/** A confirmed order that is being given back stays CONFIRMED until that is done: PENDING would promise a decision. */
function statusAfter(order: Order, move: Move<OrderStepName>, reason: EndReason | null): OrderStatus {
  if (move.ended === "completed") return "CONFIRMED";
  if (move.ended !== "undone") return order.status;
  return reason === "CANCELLED_BY_BUYER" || reason === "TIMED_OUT" ? "CANCELLED" : "REJECTED";
}

/**
 * Payments and the wallet keep the books; here is what the buyer is shown, so what is beyond the paid is not added. A
 * wallet spends what it holds when the order is confirmed: points are paid by that very step.
 */
function balanceAfter({ balance, pointsMinor }: Order, { money }: News, { ended }: Move<OrderStepName>): Balance {
  const moved = money ? withMoney(balance, money) : balance;
  const after = ended === "completed" ? { ...moved, paidPointsMinor: pointsMinor } : moved;
  const same = amounts.every((amount) => after[amount] === balance[amount]);
  return same ? balance : after;
}

const amounts = ["paidMinor", "refundedMinor", "paidPointsMinor", "refundedPointsMinor"] as const;

function withMoney(balance: Balance, { kind, of, amountMinor }: MoneyMoved): Balance {
  const paid = of === "card" ? "paidMinor" : "paidPointsMinor";
  const refunded = of === "card" ? "refundedMinor" : "refundedPointsMinor";
  switch (kind) {
    case "paid":
      return { ...balance, [paid]: amountMinor, [refunded]: Math.min(balance[refunded], amountMinor) };
    case "refunded":
      return { ...balance, [refunded]: Math.min(balance[paid], balance[refunded] + amountMinor) };
    case "all-refunded":
      return { ...balance, [refunded]: balance[paid] };
  }
}

/** Of an order that was just placed. */
export const nothingPaid: Balance = { paidMinor: 0, refundedMinor: 0, paidPointsMinor: 0, refundedPointsMinor: 0 };

/** What others are told of a move: what they are to do next follows from it. */
function tellingOf(move: Move<OrderStepName>, order: Order): Telling | undefined {
  const { orderId, buyerId, totalMinor, pointsMinor, currency, lineCount, method } = order;
  if (move.ended === "completed")
    return (rest) =>
      fact(orderConfirmed, {
        data: { orderId, buyerId, totalMinor, pointsMinor, currency, lineCount },
        ...rest,
      });
  if (move.ended === "undone") {
    const end = order.status === "CANCELLED" ? orderCancelled : orderRejected;
    return (rest) => fact(end, { data: { orderId, buyerId, reason: reasonOf(order) }, ...rest });
  }
  if (move.undo.length > 0)
    return (rest) =>
      fact(orderWithdrawn, { data: { orderId, reason: reasonOf(order), ...carriedDues(order) }, ...rest });
  switch (move.ask) {
    case "hold-points":
      return (rest) =>
        fact(orderPointsPayable, { data: { orderId, buyerId, amountMinor: pointsMinor, currency }, ...rest });
    case "authorise-payment":
      return (rest) =>
        fact(orderPayable, {
          data: { orderId, buyerId, amountMinor: totalMinor - pointsMinor, currency, method },
          ...rest,
        });
    case "confirm-stock":
      return (rest) => fact(orderAuthorised, { data: { orderId }, ...rest });
    case "capture-payment":
      return (rest) => fact(orderSecured, { data: { orderId }, ...rest });
    // The first step is asked by the placing of the order.
    case "reserve-stock":
    case undefined:
      return undefined;
  }
}

/** The wallet may hear of a choreographed order's end first, and has to know then what it must not hold. */
function carriedDues({ style, buyerId, method, totalMinor, pointsMinor, currency }: Order) {
  if (style === "orchestrated") return {};
  return { dues: { buyerId, method, cardMinor: totalMinor - pointsMinor, pointsMinor, currency } };
}

/** Everything that turns an order back says why; an order without a reason was turned back by a mistake of ours. */
function reasonOf({ orderId, reason }: Order): EndReason {
  if (reason === null) throw new Error(`The order ${orderId} is turned back for no reason.`);
  return reason;
}
