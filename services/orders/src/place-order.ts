import { Intake } from "@onsale/batch";
import type { Feeds } from "@onsale/messaging";
import type { Database } from "@onsale/postgres";
import { type Placement, type PlacementOutcome, placeOrders } from "./place-orders.ts";
import type { OrderPorts } from "./ports.ts";

export type OrderIntake = Intake<Placement, PlacementOutcome>;

/** The one door through which orders come in, whichever channel they come from. */
export const openIntake = (database: Database, ports: OrderPorts): OrderIntake =>
  new Intake({ decide: (placements) => database.transaction((tx) => placeOrders(tx, placements, ports)) });

/** Refusals for which the catalog may have told the cure already. */
const curedByNews: ReadonlySet<string> = new Set(["UNKNOWN_PRODUCT", "PRICE_CHANGED"]);

// Longer than the catalog's news ever take to arrive, shorter than a request may take.
const catalogWaitMs = 1_000;

const mayBeNews = (outcome: PlacementOutcome): outcome is Extract<PlacementOutcome, { kind: "refused" }> =>
  outcome.kind === "refused" && curedByNews.has(outcome.code);

export type OrderOutcome =
  | PlacementOutcome
  /** The catalog could not be heard in time, and what it told may be what the order needs. */
  | { readonly kind: "catalog-unheard" };

/**
 * Places one order. Where it names a product that is not known here, or another price, it waits until the catalog was heard
 * up to now, and looks once more: who has just seen a product or its new price can order it. While the catalog can't be
 * heard, nobody knows whether there is such a product, and no order is refused for good.
 */
export async function placeOrder(intake: OrderIntake, feeds: Feeds, placement: Placement): Promise<OrderOutcome> {
  const outcome = await intake.submit(placement);
  if (!mayBeNews(outcome)) return outcome;
  const isHeard = await feeds.passed("catalog", outcome.asOf, catalogWaitMs);
  const after = await intake.submit(placement);
  return mayBeNews(after) && !isHeard ? { kind: "catalog-unheard" } : after;
}
