import type { accountErased } from "@onsale/contracts/accounts";
import type { Delivered } from "@onsale/messaging";
import type { Transaction } from "@onsale/postgres";
import { withdrawMessages } from "./store/message.ts";
import { forgetRecipient, lockPerson, rememberErased } from "./store/recipient.ts";
import { telemetry } from "./telemetry.ts";

/** Forgets people whose accounts are erased, and for a while that they were here. */
export async function forgetPeople(tx: Transaction, events: readonly Delivered<typeof accountErased>[]): Promise<void> {
  // In the order of their ids, so that two that lock the same people wait for each other instead of deadlocking.
  for (const accountId of events.map(({ data }) => data.accountId).toSorted()) {
    await lockPerson(tx, accountId);
    await rememberErased(tx, accountId);
    await forgetPerson(tx, accountId);
  }
}

/**
 * Erases where a person is reached and what they wished to hear, and takes back what was still to be told to them. What
 * stays are the messages that went out: they name orders and the person's id, as the orders themselves do.
 */
export async function forgetPerson(tx: Transaction, personId: string): Promise<void> {
  const forgotten = await forgetRecipient(tx, personId);
  await withdrawMessages(tx, personId);
  if (forgotten) tx.afterCommit(() => telemetry.personForgotten());
}
