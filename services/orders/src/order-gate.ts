/** The gate before the intake, where the shop has one: it turns away who comes too late, without the database. */

import type { Sku } from "@onsale/contracts/ids";
import { type IdempotencyClaim, isKeySpent } from "@onsale/http";
import type { Queryable } from "@onsale/postgres";
import type { OrderOutcome } from "./place-order.ts";
import type { WantedLine } from "./placement.ts";
import { telemetry } from "./telemetry.ts";

export interface OrderGate {
  /** Never fails: who can't be asked lets everybody through. */
  admit(request: GateRequest, lines: readonly WantedLine[]): Promise<GateAdmission>;
  /** The order was not placed after all. */
  giveBack(lines: readonly WantedLine[]): void;
  /** A request that went through unremembered was accepted. */
  remember(request: GateRequest): Promise<void>;
  /** Called every now and then: reads what was accepted within the last day where the gate may have lost some of it. */
  restoreMemory(accepted: () => AsyncIterable<readonly GateRequest[]>): Promise<void>;
}

type GateRequest = Pick<IdempotencyClaim, "personId" | "key">;

export type GateAdmission =
  | { readonly kind: "through"; readonly isRemembered: boolean }
  /** `isFirst`: certainly no request of that key has gone through before. */
  | { readonly kind: "sold-out"; readonly skus: readonly Sku[]; readonly isFirst: boolean };

export interface SoldOut {
  readonly kind: "sold-out";
  readonly skus: readonly Sku[];
}

interface Visitor {
  readonly claim: IdempotencyClaim;
  readonly lines: readonly WantedLine[];
}

/** Places an order unless the gate knows that there is nothing left for it. Whoever was accepted before gets that answer again. */
export async function passGate(
  { gate, database }: { readonly gate: OrderGate | undefined; readonly database: Queryable },
  { claim, lines }: Visitor,
  place: () => Promise<OrderOutcome>,
): Promise<OrderOutcome | SoldOut> {
  if (gate === undefined) return place();
  const admission = await gate.admit(claim, lines);
  if (admission.kind === "sold-out") {
    if (!admission.isFirst && (await isKeySpent(database, claim))) return place();
    telemetry.turnedAway({ asked: admission.isFirst ? "gate" : "gate and key" });
    return { kind: "sold-out", skus: admission.skus };
  }
  let isNew = false;
  try {
    const outcome = await place();
    isNew = outcome.kind === "accepted" && !outcome.replayed;
    if (outcome.kind === "accepted" && !admission.isRemembered) await gate.remember(claim);
    return outcome;
  } finally {
    if (!isNew) gate.giveBack(lines);
  }
}
