import { join } from "node:path";
import { fillShelves } from "./fill-shelves.ts";
import { findAgain } from "./find-again.ts";
import { Journal } from "./journal.ts";
import { openAccounts } from "./open-accounts.ts";
import { type Placed, placeOrders } from "./place-orders.ts";
import { journalName, type OrderOutcome, type ReplayOptions, type ReplayParts, Run } from "./run.ts";
import { type TakenBack, takeBack } from "./take-back.ts";

export interface ReplayOutcome extends TakenBack {
  /** Something is in the shop that was not there before. */
  readonly changed: boolean;
  /** Every order that the shop accepted, in the order of the file. */
  readonly orders: readonly OrderOutcome[];
  readonly notAccepted: Placed["notAccepted"];
  readonly placing: Pick<Placed, "seconds" | "followed">;
}

/**
 * Plays a file of invoices through the public interface until every order has ended, going on where an earlier run broke
 * off. Its journal lies in the folder `journals`; nobody else may write into it meanwhile.
 *
 * @throws LostOrdersError, ShopUnreachableError, DamagedJournalError, or the signal's reason.
 */
export async function replayInvoices(
  options: ReplayOptions,
  parts: ReplayParts & { journals: string },
): Promise<ReplayOutcome> {
  const journal = await Journal.open(join(parts.journals, journalName(options.play)));
  try {
    const run = new Run(options, parts, journal);
    await findAgain(run);
    await fillShelves(run);
    await openAccounts(run);
    const { notAccepted, seconds, followed } = await placeOrders(run);
    const { returns, unansweredLines } = await takeBack(run);
    const orders = options.plan.orders.flatMap(({ invoice }) => run.outcomes.get(invoice) ?? []);
    return { changed: run.changed, orders, notAccepted, placing: { seconds, followed }, returns, unansweredLines };
  } finally {
    parts.progress.end();
    await journal.close();
  }
}
