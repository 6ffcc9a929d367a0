/** The steps of an order, who answers each, and how long an answer is waited for. */

import type { OrderId } from "@onsale/contracts/ids";
import type { PaymentMethod, SagaStyle as StyleSchema } from "@onsale/contracts/orders";
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
export type SagaStyle = Static<typeof StyleSchema>;

/** What the deadlines of orders are filed under, whichever way they are paid. */
export const sagaName = "order";

type Steps = readonly [SagaStep<OrderStepName>, ...SagaStep<OrderStepName>[]];

const led = (...steps: Steps): Saga<OrderStepName> => defineSaga<OrderStepName>({ name: sagaName, steps });

const followed = (...steps: Steps): Saga<OrderStepName> =>
  defineSaga<OrderStepName>({ name: sagaName, steps, choreographed: true });

/**
 * How an order is paid is the list of its steps. Points are held before a card is asked, because only the card's issuer
 * can say no after having said yes. Backwards, money first: order.withdrawn undoes authorisation and capture and gives the
 * points back, and the order's end releases what was held for it or sold to it. A wallet has nothing to capture: it spends
 * what it holds when the order is confirmed, and can't fail then.
 */
const orchestrated: Readonly<Record<OrderMethod, Saga<OrderStepName>>> = {
  card: led(reserveStock, authorisePayment, confirmStock, capturePayment),
  wallet: led(reserveStock, holdPoints, confirmStock),
  split: led(reserveStock, holdPoints, authorisePayment, confirmStock, capturePayment),
};

// Where nobody leads, all three give back by themselves and at once, so the order waits for inventory with the others.
const reservesByItself = {
  ...reserveStock,
  undo: { ...reserveStock.undo, withinMs: stepMs, askedBy: withdrawal },
} as const;
// A decline and a refused capture are payments' last word: nothing is charged. What may be set aside still, it gives back
// when it hears of the order's end.
const authorisesByItself = { ...authorisePayment, refusalMayHaveTaken: false } as const;
const capturesByItself = { ...capturePayment, refusalUndoes: ["authorise-payment"] } as const;
// Who says that the holds were gone, says that nothing is held.
const confirmsByItself = { ...confirmStock, refusalUndoes: ["reserve-stock"] } as const;

const choreographed: Readonly<Record<OrderMethod, Saga<OrderStepName>>> = {
  card: followed(reservesByItself, authorisesByItself, confirmsByItself, capturesByItself),
  wallet: followed(reservesByItself, holdPoints, confirmsByItself),
  split: followed(reservesByItself, holdPoints, authorisesByItself, confirmsByItself, capturesByItself),
};

/** The steps by who leads them and how the order is paid. Both styles have the same steps and answers. */
export const orderSagas: Readonly<Record<SagaStyle, Readonly<Record<OrderMethod, Saga<OrderStepName>>>>> = {
  orchestrated,
  choreographed,
};

export const sagaOf = ({ style, method }: Pick<Ordered, "style" | "method">): Saga<OrderStepName> =>
  orderSagas[style][method];

/** Every order begins like this, whichever way it is paid and whoever leads it. */
export const firstProgress = orchestrated.card.format(orchestrated.card.start.progress);

/**
 * Milliseconds after which every accepted order has ended, whatever was answered or not, as long as the services are
 * heard: the longest saga at its bounds, and a minute for the job that looks. A hold has to outlive it.
 */
export const orderBoundMs =
  Math.max(...Object.values(orderSagas).flatMap((sagas) => Object.values(sagas).map(({ boundMs }) => boundMs))) +
  minute;

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
  readonly style: SagaStyle;
}

/** No step that is asked at `askedAt` or later is overdue before this. */
export function nextLook(order: Ordered, askedAt: Instant, timeouts: StepTimeoutsMs): Deadline {
  const shortestMs = Math.min(...sagaOf(order).steps.map((step) => timeouts[step.name] ?? step.withinMs));
  return { key: order.orderId, wait: lookWait, dueAt: later(askedAt, shortestMs) };
}

/** The deadlines of everything that the saga waits for at this point, counted from `since`. */
export function deadlinesOf(
  order: Ordered,
  progress: OrderProgress,
  since: Instant,
  timeouts: StepTimeoutsMs,
): Deadline[] {
  return sagaOf(order)
    .waits(progress)
    .map(({ wait, decidedBy, withinMs }) => ({
      key: order.orderId,
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
  const known = new Set<string>(
    sagaOf(order)
      .waits(before)
      .map(({ wait }) => wait),
  );
  return deadlinesOf(order, after, at, timeouts).filter(({ wait }) => !known.has(wait));
}
