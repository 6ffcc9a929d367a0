/** An order from its history alone. Pure. */

import { newsKept } from "./news.ts";
import { type Balance, type HistoryEntry, hear, nothingPaid, type Order } from "./order.ts";
import { firstProgress, sagaOf } from "./order-saga.ts";

/**
 * Hears once more what the history says was heard, all of it from the first step on, and gives the order as it stands
 * after the last.
 *
 * @throws {Error} for a history that can't have come about: a gap, no beginning, a step that would change nothing or tell
 *   something else.
 */
export function rebuild(history: readonly HistoryEntry[]): Order {
  const [first, ...rest] = history;
  if (first?.placed == null || first.version !== 1) throw new Error("A history begins with what was placed.");
  return rest.reduce(after, begin(first, first.placed));
}

const begin = ({ orderId, at, amountMinor }: HistoryEntry, placed: NonNullable<HistoryEntry["placed"]>): Order => ({
  ...placed,
  orderId,
  totalMinor: amountMinor ?? 0,
  status: "PENDING",
  reason: null,
  progress: sagaOf(placed).parse(firstProgress),
  progressedAt: at,
  version: 1,
  eventSequence: 1,
  balance: nothingPaid,
});

function after(order: Order, entry: HistoryEntry): Order {
  const news = newsKept(entry);
  const circumstances = { at: entry.at, cause: { correlationId: order.correlationId }, timeouts: {} };
  const next = news ? hear(order, news, circumstances) : { order: counted(order, entry), told: undefined };
  const told = news ? (next?.told?.event.type ?? null) : entry.told;
  const { version, status, reason } = next?.order ?? {};
  if (!next || version !== entry.version || told !== entry.told || status !== entry.status || reason !== entry.reason)
    throw new Error(
      `Step ${entry.version} of the order ${order.orderId}, ${entry.what}, can't follow on the one before.`,
    );
  return next.order;
}

/** A step that moves nothing of the order, such as a return. */
const counted = (order: Order, { told }: HistoryEntry): Order => ({
  ...order,
  version: order.version + 1,
  eventSequence: order.eventSequence + (told === null ? 0 : 1),
});

export type { HistoryEntry } from "./order.ts";

/** An order as its row has it: every column that its history tells. */
export type OrderRow = Omit<Order, "progress" | "balance"> & Balance & { readonly progress: string };

export function rebuildRow(history: readonly HistoryEntry[]): OrderRow {
  const { progress, balance, ...order } = rebuild(history);
  return { ...order, ...balance, progress: sagaOf(order).format(progress) };
}
