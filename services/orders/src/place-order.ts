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
const maybeNews: ReadonlySet<string> = new Set(["UNKNOWN_PRODUCT", "PRICE_CHANGED"]);

// Longer than the catalog's news ever take to arrive, shorter than a request may take.
const catalogWaitMs = 1_000;

/**
 * Places one order. Where it names a product that is not known here, or another price, it waits until the catalog was heard
 * up to now, and looks once more: who has just seen a product or its new price can order it.
 */
export async function placeOrder(intake: OrderIntake, feeds: Feeds, placement: Placement): Promise<PlacementOutcome> {
  const outcome = await intake.submit(placement);
  if (outcome.kind !== "refused" || !maybeNews.has(outcome.code)) return outcome;
  await feeds.passed("catalog", outcome.asOf, catalogWaitMs);
  return intake.submit(placement);
}
