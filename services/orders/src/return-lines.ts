import type { BuyerId, OrderId, ReturnId, Sku } from "@onsale/contracts/ids";
import type { AmountMinor, Currency } from "@onsale/contracts/money";
import { type Instant, later } from "@onsale/contracts/time";
import type { Cause } from "@onsale/messaging";
import { databaseNow, type Transaction } from "@onsale/postgres";
import { armDeadlines } from "@onsale/saga";
import type { Order } from "./order.ts";
import type { OrderPorts } from "./ports.ts";
import { recordSteps } from "./record-steps.ts";
import { requestStep, returnStep } from "./return-steps.ts";
import { decideReturn, type ReturnDecision, type ReturnedLine, type ReturnKind } from "./returns.ts";
import { lockOrders } from "./store/order.ts";
import { readAllocations } from "./store/order-allocation.ts";
import { addReturned, readLines } from "./store/order-line.ts";
import { insertReturn, requestedUnits } from "./store/order-return.ts";
import { type ReturnPolicy, readPolicy } from "./store/return-policy.ts";
import { telemetry } from "./telemetry.ts";

export interface ReturnWish {
  readonly orderId: OrderId;
  readonly buyerId: BuyerId;
  readonly lines: readonly ReturnedLine[];
  readonly kind: ReturnKind;
  readonly cause: Cause;
}

export type ReturnOutcome =
  | {
      readonly kind: "accepted";
      readonly returnId: ReturnId;
      readonly refundMinor: AmountMinor;
      readonly pointsMinor: AmountMinor;
      readonly currency: Currency;
    }
  /** Somebody looks at the goods before anything is given back. */
  | { readonly kind: "requested"; readonly returnId: ReturnId; readonly lapsesAt: Instant; readonly currency: Currency }
  | { readonly kind: "not-found" }
  /** It may be confirmed yet. */
  | { readonly kind: "undecided" }
  | { readonly kind: "not-returnable" }
  | { readonly kind: "more-than-held"; readonly skus: readonly Sku[] };

/**
 * Takes units of a confirmed order back, or where the shop wants to see them first, writes down that they are to come. Of an
 * order that is not decided yet nothing is taken: there is nothing paid to give back.
 */
export async function returnLines(tx: Transaction, wish: ReturnWish, ports: OrderPorts): Promise<ReturnOutcome> {
  const { orderId, buyerId, lines, kind } = wish;
  const orders = await lockOrders(tx, [orderId]);
  const order = orders.get(orderId);
  if (order?.buyerId !== buyerId) return { kind: "not-found" };
  // After the lock, because another return of this order may have been under way.
  const [held, allocations, requested, policy, at] = await Promise.all([
    readLines(tx, orderId),
    readAllocations(tx, orderId),
    requestedUnits(tx, orderId),
    readPolicy(tx),
    databaseNow(tx),
  ]);
  // What never left is not looked at.
  const inspect = policy.inspect && kind === "RETURN";
  const decision = decideReturn(order, { held, allocations, requested, inspect }, lines);
  switch (decision.kind) {
    case "accepted":
      return await accept(tx, order, { wish, decision, at }, ports);
    case "requested":
      return await request(tx, order, { wish, decision, at, policy }, ports);
    case "not-returnable":
      return kind === "CANCELLATION" && order.progress.phase === "forward" ? { kind: "undecided" } : decision;
    case "more-than-held":
      return decision;
    default:
      return decision satisfies never;
  }
}

interface Decided<Kind extends ReturnDecision["kind"]> {
  readonly wish: ReturnWish;
  readonly decision: Extract<ReturnDecision, { readonly kind: Kind }>;
  readonly at: Instant;
}

async function accept(
  tx: Transaction,
  order: Order,
  { wish: { kind, cause }, decision, at }: Decided<"accepted">,
  ports: OrderPorts,
): Promise<ReturnOutcome> {
  const { orderId, currency } = order;
  const { kind: _, ...decided } = decision;
  const returned = { returnId: ports.ids.uuid(), ...decided };
  const what = kind === "RETURN" ? "goods-returned" : "lines-cancelled";
  await Promise.all([
    insertReturn(tx, { ...returned, kind, state: "ACCEPTED", orderId, requestedAt: at, lapsesAt: null }),
    addReturned(tx, orderId, returned.lines),
    recordSteps(tx, [returnStep(order, { ...returned, what }, { at, cause })], ports),
  ]);
  tx.afterCommit(() => telemetry.orderReturned());
  const { returnId, refundMinor, pointsMinor } = returned;
  return { kind: "accepted", returnId, refundMinor, pointsMinor, currency };
}

/** What the deadlines of returns are filed under. */
export const returnSaga = "return";

const dayMs = 24 * 60 * 60_000;

async function request(
  tx: Transaction,
  order: Order,
  { wish: { kind, cause }, decision: { lines }, at, policy }: Decided<"requested"> & { readonly policy: ReturnPolicy },
  ports: OrderPorts,
): Promise<ReturnOutcome> {
  const { orderId, currency } = order;
  const returnId = ports.ids.uuid();
  const lapsesAt = later(at, ports.returnLapseMs ?? policy.lapseAfterDays * dayMs);
  const asked = { returnId, orderId, kind, state: "REQUESTED", requestedAt: at, lapsesAt, lines } as const;
  await Promise.all([
    insertReturn(tx, { ...asked, refundMinor: 0, pointsMinor: 0 }),
    armDeadlines(tx, returnSaga, [{ key: returnId, wait: "inspection", dueAt: lapsesAt }]),
    recordSteps(tx, [requestStep(order, asked, { at, cause })], ports),
  ]);
  tx.afterCommit(() => telemetry.returnRequested());
  return { kind: "requested", returnId, lapsesAt, currency };
}
