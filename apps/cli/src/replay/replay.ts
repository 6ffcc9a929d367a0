import { join } from "node:path";
import { type Holder, take } from "../holders.ts";
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

/** Another process plays the same file into the same shop. */
export class PlayHeldError extends Error {
  override readonly name = "PlayHeldError";
  constructor(file: string, { process, since }: Holder) {
    super(
      `${file} is being played into this shop already, by process ${process.pid} since ${since}: each of two would order what the other had not heard of yet.`,
    );
  }
}

/**
 * Plays a file of invoices through the public interface until every order has ended, going on where an earlier run broke
 * off. Its journal lies in the folder `journals`; in the folder `holders` it says that it is played.
 *
 * @throws PlayHeldError, LostOrdersError, ShopUnreachableError, DamagedJournalError, or the signal's reason.
 */
export async function replayInvoices(
  options: ReplayOptions,
  parts: ReplayParts & { journals: string; holders: string },
): Promise<ReplayOutcome> {
  const name = journalName(options.play);
  const hold = await take(join(parts.holders, name), "replay");
  if ("holder" in hold) throw new PlayHeldError(options.file, hold.holder);
  try {
    return await playWith(await Journal.open(join(parts.journals, name)), options, parts);
  } finally {
    await hold.release();
  }
}

async function playWith(journal: Journal, options: ReplayOptions, parts: ReplayParts): Promise<ReplayOutcome> {
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
