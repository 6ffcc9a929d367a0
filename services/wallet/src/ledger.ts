/** Points move between accounts, and every move is a line in the ledger. */

import type { BuyerId, OrderId } from "@onsale/contracts/ids";
import type { Currency } from "@onsale/contracts/money";

/** Accounts of the shop, from its side: what it gave, what it got back for goods, what ended unused. */
export type ShopAccount = "issued" | "revenue" | "expired";

/** What one point of a move changes. A person's debt counts what is owed, so it is taken off the others. */
export interface Legs {
  readonly available: number;
  readonly held: number;
  readonly debt: number;
  readonly voucher: number;
  readonly shop: readonly [ShopAccount, number] | null;
}

const legs = (own: Partial<Omit<Legs, "shop">>, shop: Legs["shop"] = null): Legs => ({
  ...{ available: 0, held: 0, debt: 0, voucher: 0 },
  ...own,
  shop,
});

export const moves = {
  /** An operator gave them. */
  CREDITED: legs({ available: 1 }, ["issued", -1]),
  /** The day's grant. */
  GRANTED: legs({ available: 1 }, ["issued", -1]),
  /** Earned by paying with money. */
  EARNED: legs({ available: 1 }, ["issued", -1]),
  /** Out of a voucher. */
  REDEEMED: legs({ available: 1, voucher: -1 }),
  /** Set aside for an order. */
  HELD: legs({ available: -1, held: 1 }),
  /** Set aside no longer: the order ended without them. */
  RELEASED: legs({ available: 1, held: -1 }),
  /** The order was confirmed. */
  SPENT: legs({ held: -1 }, ["revenue", 1]),
  /** Of a confirmed order that was cancelled, or of goods that came back. */
  GIVEN_BACK: legs({ available: 1 }, ["revenue", -1]),
  /** Their time had passed. */
  EXPIRED: legs({ available: -1 }, ["expired", 1]),
  /** Earned by an order whose money was given back. */
  TAKEN_BACK: legs({ available: -1 }, ["issued", 1]),
  /** The same, where they were spent already: now they are owed. */
  OWED: legs({ debt: 1 }, ["issued", 1]),
  /** Came in where some were owed. */
  REPAID: legs({ available: -1, debt: -1 }),
  VOUCHERS_ISSUED: legs({ voucher: 1 }, ["issued", -1]),
  VOUCHER_EXPIRED: legs({ voucher: -1 }, ["expired", 1]),
  /** The operator called the rest of a batch back. */
  VOUCHER_VOIDED: legs({ voucher: -1 }, ["issued", 1]),
} as const;

export type MoveKind = keyof typeof moves;

export interface Movement {
  readonly kind: MoveKind;
  /** Null where a voucher moves that belongs to nobody yet. */
  readonly personId: BuyerId | null;
  readonly currency: Currency;
  readonly amountMinor: number;
  readonly orderId: OrderId | null;
  /** The credit, the voucher batch, the return or the lot, where it is about one of these. */
  readonly documentId: string | null;
}

/** What a movement is about, beside whose points it moves. */
export type About = Partial<Pick<Movement, "orderId" | "documentId">>;
