/** The steps of an order, who answers each, and how long an answer is waited for. */

import type { OrderId } from "@onsale/contracts/ids";
import type { PaymentMethod } from "@onsale/contracts/orders";
import { type Instant, later } from "@onsale/contracts/time";
import {
  type Deadline,
  defineSaga,
  type Progress,
  type Saga,
  type SagaStep,
  type Signal,
  type Wait,
} from "@onsale/saga";
import type { Static } from "typebox";

// Two minutes a step. The slowest of them is the provider's: our call ends after 10 s, an unknown outcome is asked about
// for some tens of seconds more, and a buyer who confirms at the bank needs what is left. The other steps take
// milliseconds; theirs is the time in which a service is restarted without an order being lost to it. None of it runs
// while a service is merely behind: a deadline waits until its deciding service was heard up to it.
const stepMs = 120_000;

const minute = 60_000;
const hour = 60 * minute;

const reserveStock = {
  name: "reserve-stock",
  decidedBy: "inventory",
  withinMs: stepMs,
  // The end of the order is what asks for it, so it is not waited for. It is one statement in inventory: ten minutes
  // without it is a fault that somebody has to see.
  undo: { withinMs: 0, callAfterMs: 10 * minute },
} as const;

// What asks for money and points back is one fact, order.withdrawn.
const withdrawal = "withdrawal";

const holdPoints = {
  name: "hold-points",
  decidedBy: "wallet",
  withinMs: stepMs,
  // One transaction in the wallet: half a minute is a restart, and ten minutes without it is a fault.
  undo: { withinMs: 30_000, callAfterMs: 10 * minute, askedBy: withdrawal },
} as const;

const authorisePayment = {
  name: "authorise-payment",
  decidedBy: "payments",
  withinMs: stepMs,
  // A decline is the answer to one attempt; an earlier one whose outcome was lost may have set money aside.
  refusalMayHaveTaken: true,
  // What a provider leaves unknown does not hold the order open. A provider that is silent for a day is a case for
  // the telephone.
  undo: { withinMs: stepMs, callAfterMs: 24 * hour, askedBy: withdrawal },
} as const;

const confirmStock = { name: "confirm-stock", decidedBy: "inventory", withinMs: stepMs } as const;
const capturePayment = { name: "capture-payment", decidedBy: "payments", withinMs: stepMs } as const;

export type OrderStepName = "reserve-stock" | "hold-points" | "authorise-payment" | "confirm-stock" | "capture-payment";
export type OrderProgress = Progress<OrderStepName>;
export type OrderSignal = Signal<OrderStepName>;
export type OrderWait = Wait<OrderStepName>;
export type OrderMethod = Static<typeof PaymentMethod>;

/** What the deadlines of orders are filed under, whichever way they are paid. */
export const sagaName = "order";

const saga = (...steps: readonly [SagaStep<OrderStepName>, ...SagaStep<OrderStepName>[]]): Saga<OrderStepName> =>
  defineSaga<OrderStepName>({ name: sagaName, steps });

/**
 * How an order is paid is the list of its steps. Points are held before a card is asked, because only the card's issuer
 * can say no after having said yes. Backwards, money first: order.withdrawn undoes authorisation and capture and gives the
 * points back, and the order's end releases what was held for it or sold to it. A wallet has nothing to capture: it spends
 * what it holds when the order is confirmed, and can't fail then.
 */
export const orderSagas: Readonly<Record<OrderMethod, Saga<OrderStepName>>> = {
  card: saga(reserveStock, authorisePayment, confirmStock, capturePayment),
  wallet: saga(reserveStock, holdPoints, confirmStock),
  split: saga(reserveStock, holdPoints, authorisePayment, confirmStock, capturePayment),
};

/** Every order begins like this, whichever way it is paid. */
export const firstProgress = orderSagas.card.format(orderSagas.card.start.progress);

/**
 * Milliseconds after which every accepted order has ended, whatever was answered or not, as long as the services are
 * heard: the longest saga at its bounds, and a minute for the job that looks. A hold has to outlive it.
 */
export const orderBoundMs = Math.max(...Object.values(orderSagas).map(({ boundMs }) => boundMs)) + minute;

/** Bounds that differ from the saga's own, in milliseconds. */
export type StepTimeoutsMs = Readonly<Partial<Record<OrderWait, number>>>;

/**
 * The name of a deadline that only asks to look at the order. While an order goes forward it has this one row and no
 * other, set when it is placed: to move a row at each step would cost the fast path four writes for a case in ten
 * thousand. Where the look finds a step unanswered, it sets that step's own deadline.
 */
export const lookWait = "look";

interface Ordered {
  readonly orderId: OrderId;
  readonly method: OrderMethod;
}

/** No step that is asked at `askedAt` or later is overdue before this. */
export function nextLook({ orderId, method }: Ordered, askedAt: Instant, timeouts: StepTimeoutsMs): Deadline {
  const shortestMs = Math.min(...orderSagas[method].steps.map((step) => timeouts[step.name] ?? step.withinMs));
  return { key: orderId, wait: lookWait, dueAt: later(askedAt, shortestMs) };
}

/** The deadlines of everything that the saga waits for at this point, counted from `since`. */
export function deadlinesOf(
  { orderId, method }: Ordered,
  progress: OrderProgress,
  since: Instant,
  timeouts: StepTimeoutsMs,
): Deadline[] {
  return orderSagas[method].waits(progress).map(({ wait, decidedBy, withinMs }) => ({
    key: orderId,
    wait,
    awaits: decidedBy,
    dueAt: later(since, timeouts[wait] ?? withinMs),
  }));
}

/** What a move of the saga gives new to wait for. Going forward that is left to the look. */
export function deadlinesAfter(
  order: Ordered,
  before: OrderProgress,
  after: OrderProgress,
  at: Instant,
  timeouts: StepTimeoutsMs,
): Deadline[] {
  if (after.phase === "forward" || after.phase === "completed") return [];
  const known = new Set<string>(orderSagas[order.method].waits(before).map(({ wait }) => wait));
  return deadlinesOf(order, after, at, timeouts).filter(({ wait }) => !known.has(wait));
}
