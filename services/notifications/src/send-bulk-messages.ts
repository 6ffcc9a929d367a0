import type { Transaction } from "@onsale/postgres";
import type { ServiceContext } from "@onsale/runtime";
import { allowed, longestCreditMs, turnLimit } from "./bulk-message.ts";
import { destinationOf, type PersonalChannel } from "./message.ts";
import type { NotificationPorts } from "./ports.ts";
import { sendClaimed } from "./send-messages.ts";
import { dueBulks, endBulk, type LockedBulk, lockBulk, pay, reach } from "./store/bulk-message.ts";
import { type ClaimedMessage, claimDueNews, insertMessages } from "./store/message.ts";
import { nextForNews, type Recipient } from "./store/recipient.ts";
import { telemetry } from "./telemetry.ts";

type Context = ServiceContext<NotificationPorts>;

// More at once would only divide the channels' time among them.
const bulksAtOnce = 8;

// A turn is at most sixteen rows of calls of at most 15 s each; a process that dies gives its messages free after that.
const leaseMs = 300_000;

/** Gives each bulk message whose time has come a turn: so many messages as its rate allows since its last one. */
export async function sendBulkMessages(context: Context, signal: AbortSignal): Promise<void> {
  const due = await dueBulks(context.database, bulksAtOnce);
  const turns = await Promise.allSettled(due.map((id) => takeTurn(context, id, signal)));
  const fault = turns.find((turn) => turn.status === "rejected");
  if (fault) throw fault.reason;
}

/**
 * One turn. Who gets the message next and what the rate allows is written down in one transaction, so that a process that
 * dies has neither left anybody out nor given anybody two; then it is sent. Gives how many messages it took up.
 */
export async function takeTurn({ database, ports }: Context, id: string, signal: AbortSignal): Promise<number> {
  const claimed = await database.transaction(async (tx) => {
    const bulk = await lockBulk(tx, id);
    return bulk === undefined ? [] : await prepareTurn(tx, bulk, ports);
  });
  const byChannel = Map.groupBy(claimed, ({ channel }) => channel);
  for (const [channel, messages] of byChannel) {
    const sender = ports.senders[channel];
    const { delivery: rule, unsubscribing } = ports;
    if (sender !== undefined) await sendClaimed({ database, channel, sender, rule, unsubscribing }, messages, signal);
  }
  return claimed.length;
}

async function prepareTurn(tx: Transaction, bulk: LockedBulk, ports: NotificationPorts): Promise<ClaimedMessage[]> {
  const { id, ratePerSecond, elapsedMs } = bulk;
  const creditMs = longestCreditMs(ratePerSecond);
  // Its first turn begins with one message and not with a second's worth of them.
  const units = allowed(elapsedMs === null ? 1_000 / ratePerSecond : Math.min(elapsedMs, creditMs), ratePerSecond);
  if (units === 0) return [];

  const before = await claim(tx, bulk, units, ports);
  if (before.length < units && !bulk.allReached) await reachNext(tx, bulk, units - before.length, ports);
  const claimed = [...before, ...(await claim(tx, bulk, units - before.length, ports))];

  if (claimed.length > 0) await pay(tx, id, (claimed.length * 1_000) / ratePerSecond, creditMs);
  else if (await endBulk(tx, id)) tx.afterCommit(() => telemetry.bulkMessageDone({ bulkMessageId: id }));
  return claimed;
}

async function claim(
  tx: Transaction,
  { id, channels }: LockedBulk,
  limit: number,
  { senders }: NotificationPorts,
): Promise<ClaimedMessage[]> {
  const claimed: ClaimedMessage[] = [];
  for (const channel of channels) {
    const left = limit - claimed.length;
    if (left > 0 && senders[channel] !== undefined)
      claimed.push(...(await claimDueNews(tx, { bulkMessageId: id, channel }, { limit: left, leaseMs })));
  }
  return claimed;
}

/** Writes the messages of the next people down, and how far they go. */
async function reachNext(tx: Transaction, bulk: LockedBulk, units: number, ports: NotificationPorts): Promise<void> {
  const limit = Math.min(units, turnLimit);
  const people = await nextForNews(tx, { after: bulk.reachedPersonId, among: bulk.personIds, limit });
  await insertMessages(
    tx,
    people.flatMap((person) => wanted(bulk, person).map((channel) => toMessage(bulk, person, channel, ports))),
  );
  await reach(tx, bulk.id, { personId: people.at(-1)?.personId ?? null, isLast: people.length < limit });
}

const wanted = ({ channels }: LockedBulk, person: Recipient): readonly PersonalChannel[] =>
  channels.filter((channel) => destinationOf({ kind: "news", channel }, person).kind === "person");

const toMessage = (bulk: LockedBulk, person: Recipient, channel: PersonalChannel, { ids }: NotificationPorts) => ({
  ...{ id: ids.uuid(), kind: "news" as const, channel, about: bulk.id, recipientId: person.personId },
  ...{ orderId: null, buyerId: null, eventId: null, language: person.language, status: "pending" as const },
  // Said once for all of them, beside the bulk message.
  facts: { texts: {} },
});
