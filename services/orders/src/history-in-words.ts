/** An order's history as a person reads it. */

import { amountInWords, type Currency } from "@onsale/contracts/money";
import type { Instant } from "@onsale/contracts/time";
import type { EndReason } from "./news.ts";
import type { HistoryEntry } from "./order.ts";

export interface Sentence {
  readonly version: number;
  readonly at: Instant;
  /** Who did it: the buyer, an operator, or the service that said so. */
  readonly who: string;
  readonly sentence: string;
}

/** One sentence for each step. */
export function inWords(history: readonly HistoryEntry[], currency: Currency): Sentence[] {
  return history.map((entry, index) => {
    const { who, what } = told(entry);
    const amount = entry.amountMinor === null ? "" : amountInWords(entry.amountMinor, currency);
    const statusBefore = history[index - 1]?.status;
    const came = statusBefore !== undefined && statusBefore !== entry.status ? ` ${ending(entry)}` : "";
    return { version: entry.version, at: entry.at, who, sentence: `${what.replace("{amount}", amount)}${came}` };
  });
}

const steps: Readonly<Record<string, { readonly who: string; readonly what: string }>> = {
  placed: { who: "buyer", what: "The order was placed; it costs {amount}." },
  "cancel-requested": { who: "buyer", what: "The buyer wants all of it undone." },
  "goods-returned": { who: "buyer", what: "Goods come back; {amount} is to be given back." },
  "return-requested": { who: "buyer", what: "The buyer wants to send goods back; somebody looks at them first." },
  "return-accepted": { who: "operator", what: "What came back was looked at and taken; {amount} is to be given back." },
  "return-refused": { who: "operator", what: "What came back was looked at, and some of it is not taken." },
  "return-lapsed": { who: "orders", what: "Nobody looked at what was to come back; the return has lapsed." },
  "lines-cancelled": { who: "buyer", what: "The buyer cancelled a part; {amount} is to be given back." },
  "stock-reserved": { who: "inventory", what: "The goods are held for the order." },
  "stock-rejected": { who: "inventory", what: "The goods could not be held." },
  "stock-confirmed": { who: "inventory", what: "The goods are the order's." },
  "stock-lapsed": { who: "inventory", what: "The goods were no longer held." },
  "stock-released": { who: "inventory", what: "The goods are back on the shelf." },
  "return-restocked": { who: "inventory", what: "What came back is put away." },
  "points-held": { who: "wallet", what: "The points are set aside." },
  "points-refused": { who: "wallet", what: "There are not enough points." },
  "points-released": { who: "wallet", what: "The points are the buyer's again." },
  "return-points-refunded": { who: "wallet", what: "{amount} was given back as points." },
  "payment-authorised": { who: "payments", what: "The card's issuer set the amount aside." },
  "payment-declined": { who: "payments", what: "The card was declined." },
  "payment-captured": { who: "payments", what: "{amount} was charged to the card." },
  "payment-capture-refused": { who: "payments", what: "The card could not be charged." },
  "payment-reversing": {
    who: "payments",
    what: "The payment is being given back; what became of it is not known yet.",
  },
  "payment-reversed": { who: "payments", what: "Nothing is kept of the card's money; {amount} was given back." },
  "return-refunded": { who: "payments", what: "{amount} was given back to the card." },
};

function told({ what }: HistoryEntry): { who: string; what: string } {
  const known = steps[what];
  if (known) return known;
  // The clock's: "overdue: authorise-payment".
  return { who: "orders", what: `No answer came in time (${what.replace(/^overdue: /, "")}).` };
}

const reasons: Readonly<Record<EndReason, string>> = {
  SOLD_OUT: "sold out",
  UNKNOWN_SKU: "a product is not in stock here",
  LIMIT_PER_BUYER: "a buyer may have no more of it",
  HOLD_EXPIRED: "the goods were no longer held",
  HOLD_MISMATCH: "more was held for it than it is for",
  PAYMENT_DECLINED: "the card was declined",
  PAYMENT_FAILED: "the card could not be charged",
  INSUFFICIENT_POINTS: "there are not enough points",
  CANCELLED_BY_BUYER: "the buyer wanted it",
  TIMED_OUT: "an answer did not come in time",
};

function ending({ status, reason }: HistoryEntry): string {
  const because = reason === null ? "" : `: ${reasons[reason]}`;
  switch (status) {
    case "CONFIRMED":
      return "The order is confirmed.";
    case "REJECTED":
      return `The order is rejected${because}.`;
    case "CANCELLED":
      return `The order is cancelled${because}.`;
    case "PENDING":
      return "The order is pending.";
  }
}
