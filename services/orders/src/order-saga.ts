/** The steps of an order, who answers each, and how long an answer is waited for. */

import { type Instant, later } from "@onsale/contracts/time";
import { type Deadline, defineSaga, type Progress, type Signal, type Wait } from "@onsale/saga";

// Two minutes a step. The slowest of them is the provider's: our call ends after 10 s, an unknown outcome is asked about
// for some tens of seconds more, and a buyer who confirms at the bank needs what is left. The other steps take
// milliseconds; theirs is the time in which a service is restarted without an order being lost to it. None of it runs
// while a service is merely behind: a deadline waits until its deciding service was heard up to it.
const stepMs = 120_000;

const minute = 60_000;
const hour = 60 * minute;

/**
 * Reserve, authorise, confirm the hold, capture. Backwards, money first: reversing the payment undoes both authorisation
 * and capture, and the order's end releases what was held for it or sold to it.
 */
export const orderSaga = defineSaga({
  name: "order",
  steps: [
    {
      name: "reserve-stock",
      decidedBy: "inventory",
      withinMs: stepMs,
      // The end of the order is what asks for it, so it is not waited for. It is one statement in inventory: ten minutes
      // without it is a fault that somebody has to see.
      undo: { withinMs: 0, callAfterMs: 10 * minute },
    },
    {
      name: "authorise-payment",
      decidedBy: "payments",
      withinMs: stepMs,
      // A decline is the answer to one attempt; an earlier one whose outcome was lost may have set money aside.
      refusalMayHaveTaken: true,
      // What a provider leaves unknown does not hold the order open. A provider that is silent for a day is a case for
      // the telephone.
      undo: { withinMs: stepMs, callAfterMs: 24 * hour },
    },
    { name: "confirm-stock", decidedBy: "inventory", withinMs: stepMs },
    { name: "capture-payment", decidedBy: "payments", withinMs: stepMs },
  ],
});

export type OrderStepName = (typeof orderSaga.steps)[number]["name"];
export type OrderProgress = Progress<OrderStepName>;
export type OrderSignal = Signal<OrderStepName>;
export type OrderWait = Wait<OrderStepName>;

/**
 * Milliseconds after which every accepted order has ended, whatever was answered or not, as long as the services are
 * heard: all steps and the reversal, each up to its bound, and a minute for the job that looks. A hold has to outlive it.
 */
export const orderBoundMs = orderSaga.steps.reduce(
  (sum, step) => sum + step.withinMs + (step.undo?.withinMs ?? 0),
  minute,
);

/** Bounds that differ from the saga's own, in milliseconds. */
export type StepTimeoutsMs = Readonly<Partial<Record<OrderWait, number>>>;

/**
 * The name of a deadline that only asks to look at the order. While an order goes forward it has this one row and no
 * other, set when it is placed: to move a row at each step would cost the fast path four writes for a case in ten
 * thousand. Where the look finds a step unanswered, it sets that step's own deadline.
 */
export const lookWait = "look";

/** No step that is asked at `askedAt` or later is overdue before this. */
export function nextLook(orderId: string, askedAt: Instant, timeouts: StepTimeoutsMs): Deadline {
  const shortestMs = Math.min(...orderSaga.steps.map((step) => timeouts[step.name] ?? step.withinMs));
  return { key: orderId, wait: lookWait, dueAt: later(askedAt, shortestMs) };
}

/** The deadlines of everything that the saga waits for at this point, counted from `since`. */
export function deadlinesOf(
  orderId: string,
  progress: OrderProgress,
  since: Instant,
  timeouts: StepTimeoutsMs,
): Deadline[] {
  return orderSaga.waits(progress).map(({ wait, decidedBy, withinMs }) => ({
    key: orderId,
    wait,
    awaits: decidedBy,
    dueAt: later(since, timeouts[wait] ?? withinMs),
  }));
}

/** What a move of the saga gives new to wait for. Going forward that is left to the look. */
export function deadlinesAfter(
  orderId: string,
  before: OrderProgress,
  after: OrderProgress,
  at: Instant,
  timeouts: StepTimeoutsMs,
): Deadline[] {
  if (after.phase === "forward" || after.phase === "completed") return [];
  const known = new Set<string>(orderSaga.waits(before).map(({ wait }) => wait));
  return deadlinesOf(orderId, after, at, timeouts).filter(({ wait }) => !known.has(wait));
}
