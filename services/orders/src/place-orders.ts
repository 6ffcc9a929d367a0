import type { BuyerId, HoldId, OrderId, Sku } from "@onsale/contracts/ids";
import type { Currency } from "@onsale/contracts/money";
import { orderPlaced } from "@onsale/contracts/orders";
import { type ClaimOutcome, claimKeys, type IdempotencyClaim, releaseKeys } from "@onsale/http";
import { type Cause, fact, publish } from "@onsale/messaging";
import type { Transaction } from "@onsale/postgres";
import { armFirstDeadlines } from "@onsale/saga";
import type { HistoryEntry, Placed } from "./order.ts";
import { nextLook, type SagaStyle, sagaName } from "./order-saga.ts";
import {
  type PlacementRefusal,
  type PricedOrder,
  priceBasket,
  type WantedLine,
  type WantedPayment,
} from "./placement.ts";
import type { OrderPorts } from "./ports.ts";
import { drawTickets, insertOrders } from "./store/order.ts";
import { insertAllocations } from "./store/order-allocation.ts";
import { insertHistory } from "./store/order-history.ts";
import { insertLines } from "./store/order-line.ts";
import { type KnownProduct, readProducts } from "./store/product.ts";
import { telemetry } from "./telemetry.ts";

/** One order that somebody wants to place. */
export interface Placement {
  readonly claim: IdempotencyClaim;
  readonly buyerId: BuyerId;
  readonly currency: Currency;
  /** Each SKU once. */
  readonly lines: readonly WantedLine[];
  readonly payment: WantedPayment;
  /** Holds that the buyer has already. Inventory knows whether they are there. */
  readonly holdIds: readonly HoldId[];
  readonly cause: Cause;
}

/** What an accepted order is answered, and what is recorded under its key. */
export interface PlacedAnswer {
  readonly orderId: OrderId;
  readonly status: "PENDING";
}

export type PlacementOutcome =
  | { readonly kind: "accepted"; readonly answer: PlacedAnswer; readonly replayed: boolean }
  | { readonly kind: "key-reused" }
  /** `asOf`: when the products were looked up, by the database's clock. */
  | (PlacementRefusal & { readonly asOf: string });

interface Accepted {
  readonly kind: "accepted";
  readonly placement: Placement;
  readonly orderId: OrderId;
  readonly arrival: number;
  readonly priced: PricedOrder;
  readonly style: SagaStyle;
}

type Decision =
  | Accepted
  | PlacementRefusal
  | { readonly kind: "replay"; readonly answer: PlacedAnswer }
  | { readonly kind: "key-reused" };

const acceptedStatus = 202;

/**
 * Places a batch of orders in one transaction; they arrive in the order given. Gives one outcome per placement, in their
 * order. A refused one leaves nothing behind, its key included.
 */
export async function placeOrders(
  tx: Transaction,
  placements: readonly Placement[],
  ports: OrderPorts,
): Promise<PlacementOutcome[]> {
  const candidates = placements.map((placement) => ({ placement, orderId: ports.ids.uuid() }));
  const [claims, products, tickets] = await Promise.all([
    claimKeys(
      tx,
      candidates.map(({ placement, orderId }) => ({
        ...placement.claim,
        status: acceptedStatus,
        body: pending(orderId),
      })),
    ),
    readProducts(tx, [...new Set(placements.flatMap(({ lines }) => lines.map((line) => line.sku)))]),
    drawTickets(tx, placements.length),
  ]);
  const decisions = candidates.map((candidate, index) =>
    decide({ ...candidate, arrival: nth(tickets.arrivals, index) }, nth(claims, index), products, ports),
  );
  const accepted = decisions.filter((decision) => decision.kind === "accepted");
  const refused = new Map<OrderId, PlacementRefusal>();
  for (const [index, decision] of decisions.entries()) {
    if (decision.kind === "refused") refused.set(nth(candidates, index).orderId, decision);
  }

  await Promise.all([
    storePlaced(tx, accepted, tickets.at, ports),
    releaseKeys(
      tx,
      candidates.filter(({ orderId }) => refused.has(orderId)).map(({ placement }) => placement.claim),
    ),
  ]);
  tx.afterCommit(() => telemetry.ordersPlaced({ count: accepted.length }));
  return decisions.map((decision) => outcomeOf(decision, refused, tickets.at));
}

function nth<Item>(items: readonly Item[], index: number): Item {
  const item = items[index];
  if (item === undefined) throw new RangeError(`There are ${items.length} of them, and none has the index ${index}.`);
  return item;
}

function decide(
  { placement, orderId, arrival }: Pick<Accepted, "placement" | "orderId" | "arrival">,
  claim: ClaimOutcome,
  products: ReadonlyMap<Sku, KnownProduct>,
  { allocationRules, saga: style = "orchestrated" }: OrderPorts,
): Decision {
  if (claim.kind === "reused") return { kind: "key-reused" };
  // The only answers recorded under keys that are claimed for placing are those that were written here.
  if (claim.kind === "replay") return { kind: "replay", answer: claim.body as PlacedAnswer };
  const priced = priceBasket(placement, products, allocationRules);
  return priced.kind === "refused" ? priced : { kind: "accepted", placement, orderId, arrival, priced, style };
}

function outcomeOf(
  decision: Decision,
  refused: ReadonlyMap<OrderId, PlacementRefusal>,
  asOf: string,
): PlacementOutcome {
  switch (decision.kind) {
    case "accepted":
      return { kind: "accepted", answer: pending(decision.orderId), replayed: false };
    case "refused":
      return { ...decision, asOf };
    case "key-reused":
      return decision;
    case "replay": {
      // A twin in this very batch may have been first under the key, and refused: then so is this one.
      const twin = refused.get(decision.answer.orderId);
      return twin ? { ...twin, asOf } : { kind: "accepted", answer: decision.answer, replayed: true };
    }
  }
}

const pending = (orderId: OrderId): PlacedAnswer => ({ orderId, status: "PENDING" });

async function storePlaced(
  tx: Transaction,
  accepted: readonly Accepted[],
  placedAt: string,
  { stepTimeoutsMs = {} }: OrderPorts,
): Promise<void> {
  if (accepted.length === 0) return;
  await Promise.all([
    insertOrders(tx, accepted.map(toOrder), placedAt),
    insertLines(
      tx,
      accepted.flatMap(({ orderId, priced }) => priced.lines.map((line) => ({ orderId, ...line }))),
    ),
    insertAllocations(
      tx,
      accepted.flatMap(({ orderId, priced }) => priced.allocations.map((it) => ({ orderId, ...it }))),
    ),
    insertHistory(
      tx,
      accepted.map((order) => firstEntry(order, placedAt)),
    ),
    armFirstDeadlines(
      tx,
      sagaName,
      accepted.map(({ orderId, placement, style }) =>
        nextLook({ orderId, method: placement.payment.method, style }, placedAt, stepTimeoutsMs),
      ),
    ),
    publish(
      tx,
      accepted.map((order) => announcement(order, placedAt)),
    ),
  ]);
}

const placedAs = ({
  placement: { buyerId, currency, payment, cause },
  priced: { lines, pointsMinor },
  style,
}: Accepted): Placed => ({
  buyerId,
  currency,
  lineCount: lines.length,
  method: payment.method,
  style,
  pointsMinor,
  correlationId: cause.correlationId,
});

const toOrder = (accepted: Accepted) => ({
  ...placedAs(accepted),
  orderId: accepted.orderId,
  arrival: accepted.arrival,
  totalMinor: accepted.priced.totalMinor,
});

const firstEntry = (accepted: Accepted, at: string): HistoryEntry => ({
  orderId: accepted.orderId,
  version: 1,
  at,
  what: "placed",
  told: orderPlaced.type,
  status: "PENDING",
  reason: null,
  amountMinor: accepted.priced.totalMinor,
  causedBy: accepted.placement.cause.causationId ?? null,
  placed: placedAs(accepted),
});

const announcement = (
  {
    placement: { buyerId, currency, payment, holdIds, cause },
    orderId,
    arrival,
    priced: { lines, totalMinor, pointsMinor },
    style,
  }: Accepted,
  placedAt: string,
) =>
  fact(orderPlaced, {
    data: {
      orderId,
      buyerId,
      currency,
      totalMinor,
      lines: lines.map(({ sku, quantity, unitPriceMinor }) => ({ sku, units: quantity, unitPriceMinor })),
      payment: { method: payment.method, pointsMinor },
      ...(style === "choreographed" && { style }),
      holdIds: [...holdIds],
      arrival,
      placedAt,
    },
    sequence: 1,
    cause,
  });
