import { type Static, Type } from "typebox";

/** ISO 4217, upper case. */
export const Currency = Type.String({ pattern: "^[A-Z]{3}$", description: "ISO 4217 code." });
export type Currency = Static<typeof Currency>;

/** The largest amount of one order or payment: 10^12 minor units, so that sums of thousands of them stay exact in a number. */
export const maximumAmountMinor = 1_000_000_000_000;

/** An amount in the currency's minor unit (pence, yen, fils), never a fraction. */
export const AmountMinor = Type.Integer({
  minimum: 0,
  maximum: maximumAmountMinor,
  description: "Amount in the currency's minor unit.",
});
export type AmountMinor = Static<typeof AmountMinor>;

/** The largest price of one unit: 10^9 minor units. */
export const PriceMinor = Type.Integer({
  minimum: 0,
  maximum: 1_000_000_000,
  description: "Price of one unit in the currency's minor unit.",
});
export type PriceMinor = Static<typeof PriceMinor>;

/** Pieces of one SKU. A million is above every real order line and keeps sums within 32 bits per SKU and batch. */
export const Units = Type.Integer({ minimum: 1, maximum: 1_000_000, description: "Pieces." });
export type Units = Static<typeof Units>;
