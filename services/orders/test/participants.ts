/** Inventory, payments and the wallet as far as one order sees them: what they keep for it, and what they answer. */

import type { Word } from "./shop.ts";

export type Participant = "inventory" | "payments" | "wallet";
export const participants: readonly Participant[] = ["inventory", "payments", "wallet"];

/** An event of an order's. */
export interface Told {
  readonly type: string;
  readonly sequence: number;
  readonly data: Record<string, unknown>;
}

export interface Answer {
  readonly from: Participant;
  readonly word: Word;
  readonly data: Record<string, unknown>;
}

/** Who hears what an order tells, by the type without its version. */
export const audience: Readonly<Record<string, readonly Participant[]>> = {
  "order.placed": ["inventory"],
  "order.points-payable": ["wallet"],
  "order.payable": ["payments"],
  "order.authorised": ["inventory"],
  "order.secured": ["payments"],
  "order.confirmed": ["wallet"],
  "order.withdrawn": ["payments", "wallet"],
  "order.rejected": ["inventory"],
  "order.cancelled": ["inventory"],
  "order.returned": participants,
};

/** What the three keep for one order. Each hears an event of it once, in order, as its inbox sees to. */
export class Books {
  stock: "none" | "held" | "sold" = "none";
  restockedUnits = 0;
  asideMinor = 0;
  capturedMinor = 0;
  refundedMinor = 0;
  pointsHeldMinor = 0;
  pointsSpentMinor = 0;
  pointsRefundedMinor = 0;
  #walletKnows = false;

  hear(by: Participant, { type, data }: Told): Answer[] {
    const fact = { type: type.replace(/\.v1$/, ""), data };
    const answers = { inventory: this.#inventory, payments: this.#payments, wallet: this.#wallet }[by].call(this, fact);
    return answers.map(([word, given]) => ({ from: by, word, data: given }));
  }

  #inventory({ type, data }: Fact): Said[] {
    switch (type) {
      case "order.placed":
        this.stock = "held";
        return [["reserved", {}]];
      case "order.authorised": {
        const isHeld = this.stock === "held";
        if (isHeld) this.stock = "sold";
        return [[isHeld ? "confirmed" : "lapsed", {}]];
      }
      case "order.returned":
        this.restockedUnits += (data["lines"] as { units: number }[]).reduce((sum, { units }) => sum + units, 0);
        return [["restocked", { returnId: data["returnId"] }]];
      default:
        this.stock = "none";
        return [["released", {}]];
    }
  }

  #payments({ type, data }: Fact): Said[] {
    switch (type) {
      case "order.payable":
        this.asideMinor = amountIn(data, "amountMinor");
        return [["authorised", {}]];
      case "order.secured":
        [this.capturedMinor, this.asideMinor] = [this.asideMinor, 0];
        return [["captured", { amountMinor: this.capturedMinor }]];
      case "order.returned": {
        const amountMinor = amountIn(data, "refundMinor");
        // What was paid with points alone is none of theirs.
        if (amountMinor === 0) return [];
        this.refundedMinor += amountMinor;
        return [["refunded", { returnId: data["returnId"], amountMinor }]];
      }
      default:
        [this.asideMinor, this.refundedMinor] = [0, this.capturedMinor];
        return [["reversed", { refundedMinor: this.refundedMinor }]];
    }
  }

  #wallet({ type, data }: Fact): Said[] {
    switch (type) {
      case "order.points-payable":
        this.#walletKnows = true;
        this.pointsHeldMinor = amountIn(data, "amountMinor");
        return [["pointsHeld", {}]];
      case "order.confirmed":
        [this.pointsSpentMinor, this.pointsHeldMinor] = [this.pointsHeldMinor, 0];
        return [];
      case "order.returned": {
        const amountMinor = amountIn(data, "pointsMinor");
        if (amountMinor === 0) return [];
        this.pointsRefundedMinor += amountMinor;
        return [["pointsRefunded", { returnId: data["returnId"], amountMinor }]];
      }
      default:
        if (!this.#walletKnows) return [];
        [this.pointsHeldMinor, this.pointsRefundedMinor] = [0, this.pointsSpentMinor];
        return [["pointsReleased", { returnedMinor: this.pointsRefundedMinor }]];
    }
  }
}

interface Fact {
  readonly type: string;
  readonly data: Record<string, unknown>;
}
type Said = readonly [Word, Record<string, unknown>];

const amountIn = (data: Record<string, unknown>, field: string): number => Number(data[field]);
