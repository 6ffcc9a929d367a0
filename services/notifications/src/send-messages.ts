import type { Database } from "@onsale/postgres";
import type { ServiceContext } from "@onsale/runtime";
import { type DeliveryRule, isLineFault, lineNewsOf, outcomeOf, type Told } from "./delivery.ts";
import { type Channel, type Content, destinationOf } from "./message.ts";
import type { NotificationPorts } from "./ports.ts";
import { type MessageSender, NotTakenError } from "./sender.ts";
import { lineFailed, lineWorks } from "./store/line.ts";
import { type ClaimedMessage, type ClaimLimits, claimDue, settleMessages } from "./store/message.ts";
import { telemetry } from "./telemetry.ts";
import { type Unsubscribing, unsubscribeUrl } from "./unsubscribe-link.ts";
import { type Wording, wordingOf } from "./wording.ts";

// Calls under way at once in one channel: a chat limits its callers sooner than we tire.
const concurrency = 16;

/**
 * Messages of one run, and how long they are ours: the calls come in four rows of at most 15 s each (a mail server that
 * takes its time), and a process that dies gives its messages free after that.
 */
export const oneRun: ClaimLimits = { limit: 4 * concurrency, leaseMs: 90_000 };

/** Sends what is due in a channel. Gives how many messages it took up. */
export async function sendDue(
  { database, ports }: ServiceContext<NotificationPorts>,
  channel: Channel,
  signal: AbortSignal,
): Promise<number> {
  const sender = ports.senders[channel];
  if (sender === undefined) return 0;
  const claimed = await claimDue(database, channel, oneRun);
  const { delivery: rule, unsubscribing } = ports;
  await sendClaimed({ database, channel, sender, rule, unsubscribing }, claimed, signal);
  return claimed.length;
}

export interface Line {
  readonly database: Database;
  readonly channel: Channel;
  readonly sender: MessageSender;
  readonly rule: DeliveryRule;
  readonly unsubscribing: Unsubscribing | undefined;
}

/** Sends messages that were taken up, and writes down what became of them. */
export async function sendClaimed(line: Line, claimed: readonly ClaimedMessage[], signal: AbortSignal): Promise<void> {
  if (claimed.length === 0) return;
  const told = await tellAll(line, claimed, signal);
  const outcomes = told.map(({ message: { id, attempts }, came }) => ({
    ...{ id, attempts },
    ...outcomeOf(came, attempts, line.rule, spreadOf(id)),
  }));
  await line.database.transaction(async (tx) => {
    await settleMessages(tx, outcomes);
    await settleLine(tx, line, told);
    tx.afterCommit(() => {
      const count = (status: string) => outcomes.filter((outcome) => outcome.status === status).length;
      if (count("sent") > 0) telemetry.messageSent({ channel: line.channel, count: count("sent") });
      if (count("dead") > 0) telemetry.messageDead({ channel: line.channel, count: count("dead") });
    });
  });
}

/** From 0 to 1, and another one for each message: the last bits of an id are chance. */
const spreadOf = (id: string): number => Number.parseInt(id.slice(-4), 16) / 0xffff;

interface ToldMessage {
  readonly message: ClaimedMessage;
  readonly came: Told;
}

/** Calls for all, some at once; after the first failure of the line nobody is called for any more. */
async function tellAll(line: Line, claimed: readonly ClaimedMessage[], signal: AbortSignal): Promise<ToldMessage[]> {
  const waiting = [...claimed];
  const told: ToldMessage[] = [];
  let lineFailed = false;
  const work = async () => {
    for (let message = waiting.shift(); message !== undefined; message = waiting.shift()) {
      const came: Told = lineFailed || signal.aborted ? { kind: "uncalled" } : await tell(line, message, signal);
      lineFailed ||= isLineFault(came);
      told.push({ message, came });
    }
  };
  await Promise.all(Array.from({ length: concurrency }, work));
  return told;
}

async function tell(line: Line, message: ClaimedMessage, signal: AbortSignal): Promise<Told> {
  const { channel, sender } = line;
  const { id, kind, facts, language } = message;
  const destination = destinationOf(message, message.isKnown ? message : undefined);
  if (destination.kind === "unwanted") return { kind: "unwanted" };
  try {
    // What can't be worded fails here, as one message, and not where its event is heard.
    const wording = wordingOf({ kind, facts } as Content, language);
    const to = destination.kind === "person" ? destination.address : undefined;
    await sender.send({ id, to, language, ...withWayOut(line, message, wording) }, signal);
    return { kind: "taken" };
  } catch (error) {
    if (signal.aborted) return { kind: "interrupted" };
    telemetry.messageNotTaken({ channel, messageId: id, error });
    return error instanceof NotTakenError
      ? { kind: "not-taken", fault: error.fault, retryAfterMs: error.retryAfterMs, failure: error.message }
      : { kind: "not-taken", fault: "message", retryAfterMs: 0, failure: "The message could not be sent." };
  }
}

/** News by mail tells its reader how to end it, in the mail and to the mail program. */
function withWayOut({ channel, unsubscribing }: Line, { kind, recipientId }: ClaimedMessage, wording: Wording) {
  if (kind !== "news" || channel !== "mail" || unsubscribing === undefined || recipientId === null) return { wording };
  const url = unsubscribeUrl(unsubscribing, recipientId);
  return { wording: { ...wording, lines: [...wording.lines, `No more news by mail: ${url}`] }, unsubscribeUrl: url };
}

async function settleLine(
  tx: Parameters<typeof lineWorks>[0],
  { channel, rule }: Line,
  told: readonly ToldMessage[],
): Promise<void> {
  const news = lineNewsOf(told.map(({ came }) => came));
  if (news.kind === "works" && (await lineWorks(tx, channel)))
    tx.afterCommit(() => telemetry.lineWorksAgain({ channel }));
  if (news.kind === "failed") {
    const failures = await lineFailed(tx, channel, rule, news.retryAfterMs);
    tx.afterCommit(() => telemetry.lineClosed({ channel, failures }));
  }
}
