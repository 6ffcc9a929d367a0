/** What somebody found who looked at what a buyer sent back, and what follows from it. Pure. */

import type { Sku } from "@onsale/contracts/ids";
import type { ReturnRefusal } from "@onsale/contracts/orders";
import type { Static } from "typebox";
import type { Refund } from "./allocation.ts";
import { type Bought, quantitiesOf, type ReturnedLine, refundFor } from "./returns.ts";

/**
 *   GOOD         paid back, and back on the shelf
 *   QUARANTINED  paid back, and kept apart
 *   WRITTEN_OFF  paid back, and gone for good
 *   REFUSED      not paid back; whose it is, is settled with the buyer
 */
export type Verdict = "GOOD" | "QUARANTINED" | "WRITTEN_OFF" | "REFUSED";
export type RefusalReason = Static<typeof ReturnRefusal>;

/** So many pieces of a SKU were found to be such. */
export interface Finding {
  readonly sku: Sku;
  readonly quantity: number;
  readonly verdict: Verdict;
  /** Why they are refused; null where they are not. */
  readonly reason: RefusalReason | null;
}

export interface RefusedLine {
  readonly sku: Sku;
  readonly quantity: number;
  readonly reason: RefusalReason;
}

export type InspectionDecision =
  | ({
      readonly kind: "inspected";
      /** What is given back; none where all is refused. */
      readonly accepted: readonly ReturnedLine[];
      readonly refused: readonly RefusedLine[];
    } & Refund)
  /** Of these SKUs the findings tell of more or fewer pieces than the buyer wanted to send. */
  | { readonly kind: "does-not-add-up"; readonly skus: readonly Sku[] };

/** Everything that was asked for is found to be something, so that no piece is ever paid back twice, or forgotten. */
export function decideInspection(
  requested: readonly ReturnedLine[],
  findings: readonly Finding[],
  bought: Bought,
): InspectionDecision {
  const [asked, found] = [quantitiesOf(requested), quantitiesOf(findings)];
  const wrong = [...new Set([...asked.keys(), ...found.keys()])].filter((sku) => asked.get(sku) !== found.get(sku));
  if (wrong.length > 0) return { kind: "does-not-add-up", skus: wrong };
  const accepted = findings.flatMap(({ sku, quantity, verdict }): ReturnedLine[] => {
    if (verdict === "REFUSED") return [];
    return [{ sku, quantity, ...(verdict !== "GOOD" && { damage: verdict }) }];
  });
  const refused = findings.flatMap(({ sku, quantity, reason }) => (reason === null ? [] : [{ sku, quantity, reason }]));
  return { kind: "inspected", accepted, refused, ...refundFor(bought, quantitiesOf(accepted)) };
}

/** Findings of one kind as one, in an order of their own: what is said twice in other words is the same. */
export function gathered(findings: readonly Finding[]): Finding[] {
  const byKind = Map.groupBy(findings, kindOf);
  return [...byKind]
    .sort(([one], [other]) => (one < other ? -1 : 1))
    .flatMap(([, [first, ...rest]]) =>
      first ? [{ ...first, quantity: rest.reduce((sum, { quantity }) => sum + quantity, first.quantity) }] : [],
    );
}

export function areSame(one: readonly Finding[], other: readonly Finding[]): boolean {
  const worded = (findings: readonly Finding[]) => gathered(findings).map((it) => `${kindOf(it)} ${it.quantity}`);
  return JSON.stringify(worded(one)) === JSON.stringify(worded(other));
}

const kindOf = ({ sku, verdict, reason }: Finding): string => JSON.stringify([sku, verdict, reason]);
