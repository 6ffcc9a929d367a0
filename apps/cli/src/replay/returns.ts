import type { PlannedCancellation, PlannedOrder, UnitsOfSku } from "./plan.ts";

/** What one cancellation takes back from one order. */
export interface PlannedReturn {
  readonly cancellation: string;
  readonly order: PlannedOrder;
  readonly lines: readonly UnitsOfSku[];
  /** Nothing is left of the order afterwards: it is cancelled rather than returned. */
  readonly whole: boolean;
  /** Lines of the file that this answers. A line that two orders answer counts with the first. */
  readonly fileLines: number;
}

export interface MatchedReturns {
  /** In the order of the file. */
  readonly returns: readonly PlannedReturn[];
  /** The very lines of cancellations that no earlier order answers, not even in part. */
  readonly unmatched: ReadonlySet<UnitsOfSku>;
}

/** What an order has not given back yet, by SKU. */
interface Holding {
  readonly order: PlannedOrder;
  readonly left: Map<string, number>;
}

/**
 * Finds for each line of each cancellation what earlier orders of that customer still hold, the latest order first
 * because what comes back was most likely bought last. `fulfilled` tells which orders got their goods at all.
 */
export function matchReturns(
  orders: readonly PlannedOrder[],
  cancellations: readonly PlannedCancellation[],
  fulfilled: (order: PlannedOrder) => boolean,
): MatchedReturns {
  const holdings = holdingsByCustomer(orders.filter(fulfilled));
  const unmatched = new Set<UnitsOfSku>();
  const returns = cancellations.flatMap((cancellation) => {
    const earlier = (holdings.get(cancellation.customer) ?? [])
      .filter(({ order }) => order.position < cancellation.position)
      .reverse();
    return takeBack(cancellation, earlier, unmatched);
  });
  return { returns, unmatched };
}

function holdingsByCustomer(orders: readonly PlannedOrder[]): Map<string, Holding[]> {
  const holdings = new Map<string, Holding[]>();
  for (const order of orders) {
    if (order.customer === undefined) continue;
    const holding = { order, left: new Map(order.lines.map(({ sku, quantity }) => [sku, quantity])) };
    const others = holdings.get(order.customer);
    if (others) others.push(holding);
    else holdings.set(order.customer, [holding]);
  }
  return holdings;
}

function takeBack(
  cancellation: PlannedCancellation,
  earlier: readonly Holding[],
  unmatched: Set<UnitsOfSku>,
): PlannedReturn[] {
  const taken = new Map<Holding, { units: Map<string, number>; fileLines: number }>();
  for (const line of cancellation.lines) {
    let missing = line.quantity;
    for (const holding of earlier) {
      const units = Math.min(missing, holding.left.get(line.sku) ?? 0);
      if (units === 0) continue;
      const share = taken.get(holding) ?? { units: new Map<string, number>(), fileLines: 0 };
      taken.set(holding, share);
      if (missing === line.quantity) share.fileLines++;
      share.units.set(line.sku, (share.units.get(line.sku) ?? 0) + units);
      remove(holding.left, line.sku, units);
      missing -= units;
    }
    if (missing === line.quantity) unmatched.add(line);
  }
  return [...taken].map(([{ order, left }, { units, fileLines }]) => ({
    cancellation: cancellation.invoice,
    order,
    lines: [...units].map(([sku, quantity]) => ({ sku, quantity })),
    whole: left.size === 0,
    fileLines,
  }));
}

function remove(left: Map<string, number>, sku: string, units: number): void {
  const rest = (left.get(sku) ?? 0) - units;
  if (rest > 0) left.set(sku, rest);
  else left.delete(sku);
}
