import type { Transaction } from "@onsale/postgres";
import type { OutgoingEvent } from "./event.ts";

/**
 * Writes events into the service's outbox, in the transaction that makes them true. Nothing else can send. They are
 * checked against their schemas first; a fault throws and rolls the transaction back. The caller holds the row lock of
 * each event's key.
 */
export async function publish(_tx: Transaction, _events: readonly OutgoingEvent[]): Promise<void> {
  throw new Error("not yet");
}
