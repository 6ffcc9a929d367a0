import { type Static, Type } from "typebox";

/** ISO 4217, upper case. */
export const Currency = Type.String({ pattern: "^[A-Z]{3}$", description: "ISO 4217 code." });
export type Currency = Static<typeof Currency>;

const withoutMinorUnit = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF".split(" ");
const withThreeDecimals = "BHD IQD JOD KWD LYD OMR TND".split(" ");

/** How many decimals a currency's minor unit stands for, by ISO 4217: yen 0, pounds 2, dinars 3. */
export function decimalsOf(currency: Currency): 0 | 2 | 3 {
  if (withoutMinorUnit.includes(currency)) return 0;
  return withThreeDecimals.includes(currency) ? 3 : 2;
}

/** The largest amount of one order or payment: 10^12 minor units, so that sums of thousands of them stay exact in a number. */
export const maximumAmountMinor = 1_000_000_000_000;

/** An amount in the currency's minor unit (pence, yen, fils), never a fraction. */
export const AmountMinor = Type.Integer({
  minimum: 0,
  maximum: maximumAmountMinor,
  description: "Amount in the currency's minor unit.",
});
export type AmountMinor = Static<typeof AmountMinor>;

/** The largest price of one unit. */
export const maximumPriceMinor = 1_000_000_000;

export const PriceMinor = Type.Integer({
  minimum: 0,
  maximum: maximumPriceMinor,
  description: "Price of one unit in the currency's minor unit.",
});
export type PriceMinor = Static<typeof PriceMinor>;

/** Pieces of one SKU. A million is above every real order line and keeps sums within 32 bits per SKU and batch. */
export const Units = Type.Integer({ minimum: 1, maximum: 1_000_000, description: "Pieces." });
export type Units = Static<typeof Units>;

/**
 * Splits an amount in proportion to weights, to the minor unit: shares are rounded down, and what is left over goes, one
 * unit each, to those that lost most by it (largest remainder; of equals to the heavier, then to the earlier). The shares
 * sum to the amount, and none is above its weight unless the amount is above their sum.
 *
 * @throws {RangeError} for an amount or a weight that is no amount, and for weights that are all zero below an amount.
 */
export function apportion(amountMinor: AmountMinor, weights: readonly number[]): AmountMinor[] {
  const unfit = [amountMinor, ...weights].find((it) => !Number.isSafeInteger(it) || it < 0);
  if (unfit !== undefined) throw new RangeError(`${unfit} is no amount.`);
  // Exact: a product of two amounts is beyond 2^53.
  const [amount, total] = [BigInt(amountMinor), weights.reduce((sum, weight) => sum + BigInt(weight), 0n)];
  if (total === 0n && amount > 0n) throw new RangeError(`${amountMinor} can't be split by weights of nothing.`);
  if (amount === 0n) return weights.map(() => 0);
  const parts = weights.map((weight, index) => {
    const product = amount * BigInt(weight);
    return { index, weight, share: Number(product / total), remainder: product % total };
  });
  const left = amountMinor - parts.reduce((sum, { share }) => sum + share, 0);
  const losers = parts.toSorted((a, b) =>
    a.remainder === b.remainder ? b.weight - a.weight : a.remainder < b.remainder ? 1 : -1,
  );
  const luckier = new Set(losers.slice(0, left).map(({ index }) => index));
  return parts.map(({ index, share }) => share + (luckier.has(index) ? 1 : 0));
}

/**
 * The share of an amount that belongs to the first `units` of `ofUnits`, rounded down. It never shrinks as `units` grow,
 * and is the whole amount for all of them: what is given back unit by unit sums to exactly what was paid.
 */
export function shareOfUnits(amountMinor: AmountMinor, units: number, ofUnits: number): AmountMinor {
  return Number((BigInt(amountMinor) * BigInt(units)) / BigInt(ofUnits));
}

/**
 * `GBP 15.30`, `JPY 1,530`, `KWD 1.530`: the currency decides how many of the digits are minor, the language (BCP 47) how
 * they are written.
 */
export function amountInWords(amountMinor: AmountMinor, currency: Currency, language = "en"): string {
  const digits = decimalsOf(currency);
  const text = String(amountMinor).padStart(digits + 1, "0");
  const at = text.length - digits;
  // As decimal text: a division would round what is large.
  const decimal = digits === 0 ? text : `${text.slice(0, at)}.${text.slice(at)}`;
  return formatOf(currency, language)
    .format(decimal as `${number}`)
    .replaceAll("\u00a0", " ");
}

/** Remembered per currency and language: to make one costs more than everything else about a message. */
const formats = new Map<string, Intl.NumberFormat>();

// Every currency there is in every language that is spoken here, several times over.
const formatLimit = 1_000;

function formatOf(currency: Currency, language: string): Intl.NumberFormat {
  const name = `${currency} ${language}`;
  const known = formats.get(name);
  if (known !== undefined) return known;
  const digits = decimalsOf(currency);
  // Said, because its own table is of what people use (no fils in Iraq), and ours of what money is counted in.
  const fraction = { minimumFractionDigits: digits, maximumFractionDigits: digits };
  const made = new Intl.NumberFormat(language, { style: "currency", currency, currencyDisplay: "code", ...fraction });
  if (formats.size < formatLimit) formats.set(name, made);
  return made;
}
