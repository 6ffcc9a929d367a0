/** Buyers who come at a steady pace, whatever becomes of those before them, and what became of each. */

import { setTimeout as sleep } from "node:timers/promises";
import { atRate } from "../replay/in-parallel.ts";
import { type OrderWish, type Shop, UnexpectedAnswerError } from "../shop.ts";

/** One buyer's order, from the wish to its end. Moments are of `performance.now()`, in milliseconds. */
export interface Attempt {
  readonly number: number;
  readonly beganAt: number;
  /** Absent: it was not accepted, and `refusal` says why. */
  orderId?: string;
  acceptedAt?: number;
  refusal?: string;
  /** Absent: it has not ended. */
  end?: { readonly status: string; readonly reason: string | null; readonly at: number };
}

export interface SteadyBuyersOptions {
  readonly shop: Shop;
  /** Guests who take turns. */
  readonly accessTokens: readonly string[];
  readonly wish: OrderWish;
  readonly ordersPerSecond: number;
  readonly forMs: number;
  /** An order that has not ended by then is given up. Above an order's own bound, eleven minutes. */
  readonly patienceMs: number;
  /** In front of each order's idempotency key. */
  readonly keyPrefix: string;
  readonly signal: AbortSignal;
}

/** As many sockets as one process has without asking for more. */
export const buyersAtOnce = 1_000;

/** The pauses between looks at an order: most end at once, the others wait for minutes. */
const [firstLookMs, longestLookMs] = [50, 2_000];

/** Sends the orders and follows each to its end. `attempts` fills while it runs. */
export async function buySteadily(options: SteadyBuyersOptions, attempts: Attempt[]): Promise<void> {
  const { ordersPerSecond, forMs, signal } = options;
  const numbers = Array.from(
    { length: Math.max(1, Math.round((forMs / 1_000) * ordersPerSecond)) },
    (_, index) => index,
  );
  await atRate(numbers, {
    width: buyersAtOnce,
    signal,
    ratePerSecond: ordersPerSecond,
    work: async (number) => {
      const attempt: Attempt = { number, beganAt: performance.now() };
      attempts.push(attempt);
      await buy(options, attempt);
    },
  });
}

async function buy(
  { shop, accessTokens, wish, keyPrefix, patienceMs, signal }: SteadyBuyersOptions,
  attempt: Attempt,
): Promise<void> {
  const accessToken = accessTokens[attempt.number % accessTokens.length] ?? "";
  try {
    const call = { accessToken, idempotencyKey: `${keyPrefix}-${attempt.number}` };
    attempt.orderId = (await shop.placeOrder(call, wish)).orderId;
    attempt.acceptedAt = performance.now();
  } catch (error) {
    if (!(error instanceof UnexpectedAnswerError)) throw error;
    attempt.refusal = error.message;
    return;
  }
  const { orderId } = attempt;
  for (let pauseMs = firstLookMs; performance.now() - attempt.beganAt < patienceMs; ) {
    await sleep(pauseMs, undefined, { signal });
    const order = await shop.order({ accessToken, orderId });
    if (order !== undefined && order.status !== "PENDING") {
      attempt.end = { status: order.status, reason: order.reason, at: performance.now() };
      return;
    }
    pauseMs = Math.min(pauseMs * 1.6, longestLookMs);
  }
}
