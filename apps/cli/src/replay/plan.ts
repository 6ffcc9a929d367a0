import { maximumLines } from "@onsale/contracts/orders";
import type { InvoiceLine } from "./invoice-file.ts";
import { matchReturns } from "./returns.ts";

/** Why a line of the file is neither ordered nor returned. The first that fits counts, in this order. */
export const lineRefusals = [
  "SERVICE_CODE",
  "UNREADABLE",
  "NEGATIVE_QUANTITY",
  "ZERO_PRICE",
  "NO_EARLIER_SALE",
  "TOO_MANY_LINES",
] as const;
export type LineRefusal = (typeof lineRefusals)[number];

export interface Product {
  readonly sku: string;
  readonly name: string;
  readonly priceMinor: number;
  /** Units that the file's orders ask for, all together. */
  readonly orderedUnits: number;
}

export interface UnitsOfSku {
  readonly sku: string;
  readonly quantity: number;
}

/** One invoice that becomes one order: each product once. */
export interface PlannedOrder {
  readonly invoice: string;
  /** Absent for a guest. */
  readonly customer?: string;
  /** Where its first line stands in the file. */
  readonly position: number;
  readonly lines: readonly UnitsOfSku[];
}

/** One invoice that takes back, line by line as the file has it. Quantities are positive. */
export interface PlannedCancellation {
  readonly invoice: string;
  readonly customer: string;
  readonly position: number;
  readonly lines: readonly UnitsOfSku[];
}

/** What is to be done with a file of invoices. Orders and cancellations are in the order of the file. */
export interface Plan {
  readonly lines: number;
  readonly invoices: number;
  /** By SKU, every product that is ordered. */
  readonly products: ReadonlyMap<string, Product>;
  readonly orders: readonly PlannedOrder[];
  /** Only lines that an earlier sale answers. */
  readonly cancellations: readonly PlannedCancellation[];
  readonly refusedLines: Readonly<Partial<Record<LineRefusal, number>>>;
  /** Ordered lines whose price in the file is not the product's. */
  readonly repricedLines: number;
}

interface Draft {
  readonly kind: "order" | "cancellation";
  readonly invoice: string;
  readonly customer: string | undefined;
  readonly position: number;
  /** Of an order: units by SKU. */
  readonly units: Map<string, number>;
  /** Of a cancellation: its lines. */
  readonly taken: UnitsOfSku[];
}

/** Makes the plan from lines given one by one, so that only what will be sent is kept of a long file. */
export class Planner {
  readonly #drafts = new Map<string, Draft>();
  readonly #prices = new Map<string, number>();
  readonly #names = new Map<string, string>();
  readonly #refused = new Map<LineRefusal, number>();
  #lines = 0;
  #repriced = 0;

  add(line: InvoiceLine): void {
    this.#lines++;
    this.#learn(line);
    const draft = this.#draftOf(line);
    const refusal = whyRefused(line, draft);
    if (refusal) this.#refuse(refusal);
    else this.#keep(line, draft);
  }

  finish(): Plan {
    const drafts = [...this.#drafts.values()];
    const orders = drafts.filter(({ kind, units }) => kind === "order" && units.size > 0).map(toOrder);
    const cancellations = this.#answered(
      drafts.filter(({ kind }) => kind === "cancellation"),
      orders,
    );
    return {
      lines: this.#lines,
      invoices: this.#drafts.size - (this.#drafts.has("") ? 1 : 0),
      products: this.#products(orders),
      orders,
      cancellations,
      refusedLines: Object.fromEntries(lineRefusals.flatMap((reason) => countOf(this.#refused, reason))),
      repricedLines: this.#repriced,
    };
  }

  /** The first valid price is the product's, and the first name its name, whatever becomes of the line that tells them. */
  #learn({ code, priceMinor, description }: InvoiceLine): void {
    if (isService(code)) return;
    if (priceMinor !== undefined && priceMinor > 0 && !this.#prices.has(code)) this.#prices.set(code, priceMinor);
    if (description !== "" && !this.#names.has(code)) this.#names.set(code, description);
  }

  #draftOf({ invoice, customer }: InvoiceLine): Draft {
    let draft = this.#drafts.get(invoice);
    if (draft === undefined) {
      const kind = /^c/i.test(invoice) ? "cancellation" : "order";
      draft = { kind, invoice, customer, position: this.#lines, units: new Map(), taken: [] };
      this.#drafts.set(invoice, draft);
    }
    return draft;
  }

  #refuse(reason: LineRefusal, lines = 1): void {
    this.#refused.set(reason, (this.#refused.get(reason) ?? 0) + lines);
  }

  #keep({ code: sku, quantity = 0, priceMinor }: InvoiceLine, { kind, units, taken }: Draft): void {
    if (kind === "cancellation") {
      taken.push({ sku, quantity: -quantity });
      return;
    }
    units.set(sku, (units.get(sku) ?? 0) + quantity);
    if (priceMinor !== this.#prices.get(sku)) this.#repriced++;
  }

  /** Leaves to each cancellation the lines that could be answered if every order were fulfilled; counts the others as refused. */
  #answered(drafts: readonly Draft[], orders: readonly PlannedOrder[]): PlannedCancellation[] {
    const known = drafts.flatMap(({ invoice, customer, position, taken }) =>
      customer === undefined ? [] : [{ invoice, customer, position, lines: taken }],
    );
    const { unmatched } = matchReturns(orders, known, () => true);
    const answered = known.map((cancellation) => ({
      ...cancellation,
      lines: cancellation.lines.filter((line) => !unmatched.has(line)),
    }));
    const kept = answered.reduce((sum, { lines }) => sum + lines.length, 0);
    const asked = drafts.reduce((sum, { taken }) => sum + taken.length, 0);
    if (asked > kept) this.#refuse("NO_EARLIER_SALE", asked - kept);
    return answered.filter(({ lines }) => lines.length > 0);
  }

  #products(orders: readonly PlannedOrder[]): Map<string, Product> {
    const units = new Map<string, number>();
    for (const { lines } of orders)
      for (const { sku, quantity } of lines) units.set(sku, (units.get(sku) ?? 0) + quantity);
    return new Map(
      [...units].map(([sku, orderedUnits]) => [
        sku,
        {
          sku,
          name: (this.#names.get(sku) ?? sku).slice(0, maximumNameLength),
          priceMinor: this.#prices.get(sku) ?? 0,
          orderedUnits,
        },
      ]),
    );
  }
}

/** The longest product name that the shop takes, in characters. */
const maximumNameLength = 200;

/** The most pieces of one product in one order, and the dearest price, that the shop takes. */
const maximumUnits = 1_000_000;
const maximumPriceMinor = 1_000_000_000;

function whyRefused(
  { invoice, code, quantity, priceMinor }: InvoiceLine,
  { kind, units }: Draft,
): LineRefusal | undefined {
  if (isService(code)) return "SERVICE_CODE";
  if (invoice === "" || quantity === undefined || priceMinor === undefined) return "UNREADABLE";
  if (Math.abs(quantity) + (units.get(code) ?? 0) > maximumUnits || priceMinor > maximumPriceMinor) return "UNREADABLE";
  if (kind === "cancellation" && quantity >= 0) return "UNREADABLE";
  if (kind === "order" && quantity <= 0) return "NEGATIVE_QUANTITY";
  if (priceMinor <= 0) return "ZERO_PRICE";
  if (kind === "order" && units.size >= maximumLines && !units.has(code)) return "TOO_MANY_LINES";
  return undefined;
}

const isService = (code: string): boolean => !/^\d{5}/.test(code);

function toOrder({ invoice, customer, position, units }: Draft): PlannedOrder {
  return {
    invoice,
    ...(customer !== undefined && { customer }),
    position,
    lines: [...units].map(([sku, quantity]) => ({ sku, quantity })),
  };
}

function countOf(counts: ReadonlyMap<LineRefusal, number>, reason: LineRefusal): [LineRefusal, number][] {
  const count = counts.get(reason);
  return count === undefined ? [] : [[reason, count]];
}

/** A share of what the file sells, as an exact fraction: 0.6 of 5 is 3, not a hair more that would be rounded up to 4. */
export interface StockShare {
  readonly millionths: number;
}

/** Units that the shop gets of a product: the share of what is ordered, rounded up. */
export const stockOf = ({ orderedUnits }: Pick<Product, "orderedUnits">, { millionths }: StockShare): number =>
  Math.ceil((orderedUnits * millionths) / 1_000_000);
