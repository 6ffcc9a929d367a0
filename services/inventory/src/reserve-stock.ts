import type { HoldId, OrderId, Sku } from "@onsale/contracts/ids";
import { type StockRefusal, stockRejected, stockReserved } from "@onsale/contracts/inventory";
import type { Units } from "@onsale/contracts/money";
import type { Dues, orderPlaced } from "@onsale/contracts/orders";
import { type Instant, later } from "@onsale/contracts/time";
import { causedBy, type Delivered, fact, publish } from "@onsale/messaging";
import type { Transaction } from "@onsale/postgres";
import type { Static } from "typebox";
import { attach } from "./allocation.ts";
import { lockBuyerHolds } from "./buyer-holds.ts";
import { tellGate } from "./gate/tell-gate.ts";
import { type Movement, movesOf } from "./ledger.ts";
import { moveUnits } from "./move-units.ts";
import type { InventoryPorts } from "./ports.ts";
import { type BuyerHold, byArrival, type Decision, decideReservations, type Refusal, type Wish } from "./stock.ts";
import { allocated, insertAllocations, stepAllocations } from "./store/allocation.ts";
import { insertRefused } from "./store/fairness.ts";
import { attachHolds, insertHolds } from "./store/hold.ts";
import { lockShelves, takenByBuyers } from "./store/stock.ts";
import { telemetry } from "./telemetry.ts";

// Behind the order's own bound, so that a living order never loses its holds: this is for orders that nobody ends. An
// order that waits for its payment as long as it may is over long before.
const holdMs = 15 * 60_000;

type Placed = Delivered<typeof orderPlaced>;

interface OrderWish extends Wish {
  readonly orderId: OrderId;
  /** The order's ticket: lower came earlier. */
  readonly arrival: number;
  /** Of a choreographed order: what whoever hears of its holds has to know. */
  readonly dues?: Static<typeof Dues>;
}

/**
 * Holds stock for a batch of placed orders, first come first served; each order whole or not at all. What an order brings
 * becomes its own instead of new units.
 */
export async function reserveStock(
  tx: Transaction,
  placed: readonly Placed[],
  { clock, ids, chooseLocations, gate }: InventoryPorts,
): Promise<void> {
  const wishes = placed.map(toWish).sort(byArrival);
  // Before the shelves, as everybody does who changes what became of a hold.
  const buyerHolds = await lockBuyerHolds(
    tx,
    wishes.flatMap(({ brings }) => brings),
  );
  const [known, shelves] = await Promise.all([
    allocated(
      tx,
      wishes.map(({ orderId }) => orderId),
    ),
    // Locked in SKU order, so that two batches wait for each other instead of deadlocking.
    lockShelves(tx, wishes),
  ]);
  const fresh = firstOfEachOrder(wishes).filter(({ orderId }) => !known.has(orderId));
  if (fresh.length === 0) return;
  const taken = await takenByBuyers(tx, shelves, fresh);

  const decisions = decideReservations(shelves, fresh, { taken, buyerHolds, newHoldId: ids.uuid, chooseLocations });

  const expiresAt = later(clock.now(), holdMs);
  await Promise.all([
    storeDecisions(tx, decisions, expiresAt),
    moveUnits(tx, decisions.flatMap(movements)),
    publish(
      tx,
      decisions.map((decision) => announcement(decision, expiresAt)),
    ),
    tellGate(tx, gate, { shelves, decisions }),
  ]);
  tellAfterCommit(tx, decisions);
}

function toWish(event: Placed): OrderWish {
  const { orderId, buyerId, arrival, lines, holdIds } = event.data;
  const units = new Map<Sku, number>();
  for (const line of lines) units.set(line.sku, (units.get(line.sku) ?? 0) + line.units);
  const brings = [...new Set(holdIds)];
  const wish = {
    orderId,
    buyerId,
    arrival,
    units,
    names: new Map(),
    brings,
    saidAt: event.time,
    cause: causedBy(event),
  };
  return event.data.style === "choreographed" ? { ...wish, dues: duesOf(event.data) } : wish;
}

function duesOf({ buyerId, payment: { method, pointsMinor }, totalMinor, currency }: Placed["data"]) {
  return { buyerId, method, cardMinor: totalMinor - pointsMinor, pointsMinor, currency };
}

function firstOfEachOrder(wishes: readonly OrderWish[]): OrderWish[] {
  const seen = new Set<OrderId>();
  return wishes.filter(({ orderId }) => !seen.has(orderId) && seen.add(orderId));
}

async function storeDecisions(
  tx: Transaction,
  decisions: readonly Decision<OrderWish>[],
  expiresAt: Instant,
): Promise<void> {
  const reserved = decisions.filter((decision) => decision.kind === "reserved");
  const allocations = decisions.map(({ kind, wish: { orderId, buyerId, arrival } }) =>
    kind === "reserved"
      ? ({ allocationId: orderId, buyerId, arrival, state: "HELD", expiresAt } as const)
      : ({ allocationId: orderId, buyerId, arrival, state: "REFUSED", expiresAt: null } as const),
  );
  await Promise.all([
    insertAllocations(tx, { kind: "ORDER", version: 1 }, allocations),
    insertHolds(
      tx,
      reserved.flatMap(({ wish, holds }) => holds.map((hold) => ({ ...hold, allocationId: wish.orderId }))),
    ),
    insertRefused(
      tx,
      decisions.flatMap((decision) =>
        decision.kind === "refused" ? decision.short.map((it) => ({ ...it, orderId: decision.wish.orderId })) : [],
      ),
    ),
    attachBrought(
      tx,
      reserved.flatMap(({ wish, brought }) => brought.map(({ holdId }) => ({ holdId, orderId: wish.orderId }))),
    ),
  ]);
}

async function attachBrought(
  tx: Transaction,
  attached: readonly { readonly holdId: HoldId; readonly orderId: OrderId }[],
): Promise<void> {
  if (attached.length === 0) return;
  await Promise.all([
    stepAllocations(tx, { state: attach.to, events: 0, allocationIds: attached.map(({ holdId }) => holdId) }),
    attachHolds(tx, attached),
  ]);
}

function movements(decision: Decision<OrderWish>): Movement[] {
  if (decision.kind === "refused") return [];
  const { orderId, buyerId, cause } = decision.wish;
  return decision.holds.flatMap((hold) => {
    const limitedBuyer = hold.limited ? buyerId : null;
    return movesOf(hold, { kind: "HELD", orderId, documentId: null, limitedBuyer, cause });
  });
}

function announcement(decision: Decision<OrderWish>, expiresAt: Instant) {
  const { orderId, cause, dues } = decision.wish;
  if (decision.kind === "refused") {
    const { reason, skus } = decision;
    return fact(stockRejected, { data: { orderId, reason: told[reason], skus: [...skus] }, sequence: 1, cause });
  }
  const holds = wholeHolds([...decision.brought, ...decision.holds]);
  return fact(stockReserved, {
    data: { orderId, holds, expiresAt, ...(dues && { dues }) },
    sequence: 1,
    cause,
  });
}

/** An order names no units, so it is never told of them. */
const told: Readonly<Record<Refusal, Static<typeof StockRefusal>>> = {
  SOLD_OUT: "SOLD_OUT",
  UNKNOWN_SKU: "UNKNOWN_SKU",
  LIMIT_PER_BUYER: "LIMIT_PER_BUYER",
  HOLD_EXPIRED: "HOLD_EXPIRED",
  HOLD_MISMATCH: "HOLD_MISMATCH",
  UNITS_TAKEN: "SOLD_OUT",
  UNKNOWN_UNIT: "SOLD_OUT",
};

/** Whoever hears of a hold need not know at how many locations it lies. */
function wholeHolds(holds: readonly Pick<BuyerHold, "holdId" | "sku" | "units">[]) {
  const [first] = holds;
  if (first && holds.length === 1) return [{ holdId: first.holdId, sku: first.sku, units: first.units }];
  const whole = new Map<HoldId, { holdId: HoldId; sku: Sku; units: Units }>();
  for (const { holdId, sku, units } of holds)
    whole.set(holdId, { holdId, sku, units: (whole.get(holdId)?.units ?? 0) + units });
  return [...whole.values()];
}

function tellAfterCommit(tx: Transaction, decisions: readonly Decision[]): void {
  const refusals = decisions.filter((decision) => decision.kind === "refused");
  tx.afterCommit(() => {
    telemetry.stockReserved({ count: decisions.length - refusals.length });
    for (const [reason, ofReason] of Map.groupBy(refusals, ({ reason }) => reason)) {
      telemetry.stockRefused({ count: ofReason.length, reason });
    }
  });
}
