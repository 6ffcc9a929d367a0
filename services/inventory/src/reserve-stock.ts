import type { HoldId, OrderId, Sku } from "@onsale/contracts/ids";
import { stockRejected, stockReserved } from "@onsale/contracts/inventory";
import type { Units } from "@onsale/contracts/money";
import type { orderPlaced } from "@onsale/contracts/orders";
import { later } from "@onsale/contracts/time";
import { causedBy, type Delivered, fact, publish } from "@onsale/messaging";
import type { Transaction } from "@onsale/postgres";
import { tellGate } from "./gate/tell-gate.ts";
import type { Movement } from "./ledger.ts";
import { moveUnits } from "./move-units.ts";
import type { InventoryPorts } from "./ports.ts";
import { byArrival, type Decision, decideReservations, type Hold, type Wish } from "./stock.ts";
import { allocated, storeDecisions } from "./store/allocation.ts";
import { lockShelves, takenByBuyers } from "./store/stock.ts";
import { telemetry } from "./telemetry.ts";

// Behind the order's own bound, so that a living order never loses its holds: this is for orders that nobody ends. An
// order that waits for its payment as long as it may is over long before.
const holdMs = 15 * 60_000;

type Placed = Delivered<typeof orderPlaced>;

/** Holds stock for a batch of placed orders, first come first served; each order whole or not at all. */
export async function reserveStock(
  tx: Transaction,
  placed: readonly Placed[],
  { clock, ids, chooseLocations, gate }: InventoryPorts,
): Promise<void> {
  const wishes = placed.map(toWish).sort(byArrival);
  const [known, shelves] = await Promise.all([
    allocated(
      tx,
      wishes.map(({ orderId }) => orderId),
    ),
    // Locked in SKU order, so that two batches wait for each other instead of deadlocking.
    lockShelves(tx, skusOf(wishes)),
  ]);
  const fresh = firstOfEachOrder(wishes).filter(({ orderId }) => !known.has(orderId));
  if (fresh.length === 0) return;
  const taken = await takenByBuyers(tx, shelves, fresh);

  const expiresAt = later(clock.now(), holdMs);
  const decisions = decideReservations(shelves, fresh, { taken, expiresAt, newHoldId: ids.uuid, chooseLocations });

  await Promise.all([
    storeDecisions(tx, decisions),
    moveUnits(tx, decisions.flatMap(movements)),
    publish(tx, decisions.map(announcement)),
    tellGate(tx, gate, { shelves, decisions }),
  ]);
  tellAfterCommit(tx, decisions);
}

function toWish(event: Placed): Wish {
  const { orderId, buyerId, arrival, lines, holdIds } = event.data;
  const units = new Map<Sku, number>();
  for (const line of lines) units.set(line.sku, (units.get(line.sku) ?? 0) + line.units);
  return { orderId, buyerId, arrival, units, bringsHolds: holdIds.length > 0, cause: causedBy(event) };
}

const skusOf = (wishes: readonly Wish[]): Sku[] => [...new Set(wishes.flatMap(({ units }) => [...units.keys()]))];

function firstOfEachOrder(wishes: readonly Wish[]): Wish[] {
  const seen = new Set<OrderId>();
  return wishes.filter(({ orderId }) => !seen.has(orderId) && seen.add(orderId));
}

function movements(decision: Decision): Movement[] {
  if (decision.kind === "refused") return [];
  const { orderId, buyerId, cause } = decision.wish;
  return decision.holds.map(({ holdId, sku, location, units, limited }) => ({
    kind: "HELD",
    sku,
    location,
    units,
    orderId,
    holdId,
    documentId: null,
    limitedBuyer: limited ? buyerId : null,
    cause,
  }));
}

function announcement(decision: Decision) {
  const { orderId, cause } = decision.wish;
  if (decision.kind === "refused") {
    const { reason, skus } = decision;
    return fact(stockRejected, { data: { orderId, reason, skus: [...skus] }, sequence: 1, cause });
  }
  const holds = wholeHolds(decision.holds);
  return fact(stockReserved, { data: { orderId, holds, expiresAt: decision.expiresAt }, sequence: 1, cause });
}

/** Whoever hears of a hold need not know at how many locations it lies. */
function wholeHolds(holds: readonly Hold[]) {
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
