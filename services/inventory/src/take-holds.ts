import type { HoldId, Sku } from "@onsale/contracts/ids";
import type { Units } from "@onsale/contracts/money";
import { type Instant, later } from "@onsale/contracts/time";
import { claimKeys, type IdempotencyClaim, releaseKeys } from "@onsale/http";
import { databaseNow, type Transaction } from "@onsale/postgres";
import { tellGate } from "./gate/tell-gate.ts";
import { type Movement, movesOf } from "./ledger.ts";
import { moveUnits } from "./move-units.ts";
import type { InventoryPorts } from "./ports.ts";
import { decideReservations, type Refused, type Reserved, type UnitName, type Wish } from "./stock.ts";
import { insertAllocations } from "./store/allocation.ts";
import { insertHolds } from "./store/hold.ts";
import { lockShelves, takenByBuyers } from "./store/stock.ts";
import { telemetry } from "./telemetry.ts";

/** What a buyer would like to have set aside before there is an order. */
export interface HoldRequest extends Pick<Wish, "buyerId" | "units" | "names" | "cause"> {
  readonly claim: IdempotencyClaim;
  readonly holdMs: number;
}

/** What the buyer is answered, and what is recorded under the key. */
export interface HoldsAnswer {
  readonly holdIds: readonly HoldId[];
  readonly holds: readonly {
    readonly holdId: HoldId;
    readonly sku: Sku;
    readonly quantity: Units;
    readonly units?: readonly UnitName[];
  }[];
  readonly expiresAt: Instant;
}

export type HoldsOutcome =
  | { readonly kind: "held"; readonly answer: HoldsAnswer; readonly replayed: boolean }
  | Pick<Refused, "kind" | "reason" | "skus" | "units">
  | { readonly kind: "key-reused" };

interface HoldWish extends Wish {
  readonly claim: IdempotencyClaim;
  readonly holdIds: ReadonlyMap<Sku, HoldId>;
  readonly answer: HoldsAnswer;
}

export const takenStatus = 201;

/**
 * Sets units aside for a batch of buyers, in the order given; each gets all that they ask for, or nothing. Gives one
 * outcome per request, in their order. A refused one leaves nothing behind, its key included.
 */
export async function takeHolds(
  tx: Transaction,
  requests: readonly HoldRequest[],
  { ids, chooseLocations, gate }: Pick<InventoryPorts, "ids" | "chooseLocations" | "gate">,
): Promise<HoldsOutcome[]> {
  const now = await databaseNow(tx);
  const wishes = requests.map((request) => toWish(request, now, ids.uuid));
  const claims = await claimKeys(
    tx,
    wishes.map(({ claim, answer }) => ({ ...claim, status: takenStatus, body: answer })),
  );
  const fresh = wishes.filter((_, index) => claims[index]?.kind === "fresh");
  const shelves = await lockShelves(tx, fresh);
  const taken = await takenByBuyers(tx, shelves, fresh);

  const decisions = decideReservations(shelves, fresh, {
    ...{ taken, chooseLocations, buyerHolds: [] },
    newHoldId: ({ holdIds }, sku) => held(holdIds.get(sku)),
  });

  const reserved = decisions.filter((decision) => decision.kind === "reserved");
  const refused = decisions.filter((decision) => decision.kind === "refused");
  await Promise.all([
    store(tx, reserved),
    moveUnits(tx, reserved.flatMap(movements)),
    releaseKeys(
      tx,
      refused.map(({ wish }) => wish.claim),
    ),
    tellGate(tx, gate, { shelves, decisions }),
  ]);
  tx.afterCommit(() => telemetry.holdsTaken({ count: reserved.length }));
  return outcomes(wishes, claims, refused);
}

function toWish({ claim, holdMs, ...request }: HoldRequest, now: Instant, newId: () => HoldId): HoldWish {
  const holdIds = new Map([...request.units.keys()].map((sku) => [sku, newId()]));
  const holds = [...request.units].map(([sku, quantity]) => {
    const names = request.names.get(sku);
    return { holdId: held(holdIds.get(sku)), sku, quantity, ...(names && { units: names }) };
  });
  const answer = { holdIds: [...holdIds.values()], holds, expiresAt: later(now, holdMs) };
  return { ...request, brings: [], saidAt: now, claim, holdIds, answer };
}

function held(holdId: HoldId | undefined): HoldId {
  if (holdId === undefined) throw new Error("A SKU was held that nobody asked for.");
  return holdId;
}

async function store(tx: Transaction, reserved: readonly Reserved<HoldWish>[]): Promise<void> {
  const allocations = reserved.flatMap(({ wish: { holdIds, buyerId, answer } }) =>
    [...holdIds.values()].map((allocationId) => ({
      ...{ allocationId, buyerId, expiresAt: answer.expiresAt, arrival: null },
      state: "HELD" as const,
    })),
  );
  await Promise.all([
    insertAllocations(tx, { kind: "HOLD", version: 0 }, allocations),
    insertHolds(
      tx,
      reserved.flatMap(({ holds }) => holds.map((hold) => ({ ...hold, allocationId: hold.holdId }))),
    ),
  ]);
}

const movements = ({ wish: { buyerId, cause }, holds }: Reserved<HoldWish>): Movement[] =>
  holds.flatMap((hold) => {
    const limitedBuyer = hold.limited ? buyerId : null;
    return movesOf(hold, { kind: "HELD", orderId: null, documentId: null, limitedBuyer, cause });
  });

function outcomes(
  wishes: readonly HoldWish[],
  claims: Awaited<ReturnType<typeof claimKeys>>,
  refused: readonly Refused<HoldWish>[],
): HoldsOutcome[] {
  const refusals = new Map(refused.map((refusal) => [refusal.wish.answer.holdIds[0], refusal]));
  return wishes.map(({ answer: own }, index): HoldsOutcome => {
    const claim = claims[index];
    if (claim === undefined || claim.kind === "reused") return { kind: "key-reused" };
    // The only answers recorded under keys that are claimed for holds are those that were written here.
    const answer = claim.kind === "fresh" ? own : (claim.body as HoldsAnswer);
    // A twin in this very batch may have been first under the key, and refused: then so is this one.
    const refusal = refusals.get(answer.holdIds[0]);
    if (!refusal) return { kind: "held", answer, replayed: claim.kind === "replay" };
    const { kind, reason, skus, units } = refusal;
    return { kind, reason, skus, units };
  });
}
