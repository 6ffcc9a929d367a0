import { OrderId } from "@onsale/contracts/ids";
import { type Database, databaseNow } from "@onsale/postgres";
import type { ServiceContext } from "@onsale/runtime";
import { Compile } from "typebox/compile";
import type { PaymentsPorts } from "./ports.ts";
import { settleAnswers } from "./settle-answers.ts";
import { recordIncidents } from "./store/incident.ts";
import { readPayments } from "./store/payment.ts";
import { type ReceivedWebhook, recordWebhooks } from "./store/webhook.ts";
import { telemetry } from "./telemetry.ts";
import { type Judgement, judge, type WebhookEvent } from "./webhook.ts";

const orderId = Compile(OrderId);

/**
 * Settles the open questions that events of a provider answer, and records what they did, each once. Returns those that
 * were refused now because they do not fit our payments; an event that came before is neither settled nor refused again.
 * Everything is committed when it returns.
 *
 * Most events tell what the provider's answer told a moment before. These do nothing, however often they come, and leave
 * nothing behind: a row for each was two rows an order.
 */
export async function receiveWebhook(
  { database, ports }: Pick<ServiceContext<PaymentsPorts>, "database" | "ports">,
  provider: string,
  events: readonly WebhookEvent[],
): Promise<{ refused: string[] }> {
  const sorted = onceEach(events);
  // Read without locks and before the transaction, which few messages need; what a judgement leads to is decided under the lock.
  const payments = await readPayments(database, [
    ...new Set(sorted.map(({ data }) => data.reference).filter((it) => orderId.Check(it))),
  ]);
  const judged = sorted.map((event) => ({
    event,
    judgement: judge(event, payments.get(event.data.reference), provider),
  }));
  const weighty = judged.flatMap(({ event, judgement }) => (judgement.kind === "noted" ? [] : [{ event, judgement }]));
  const noted = judged.length - weighty.length;
  if (noted > 0) telemetry.webhookReceived({ result: "noted", count: noted });
  return { refused: weighty.length > 0 ? await heed(database, provider, weighty, ports) : [] };
}

interface Weighty {
  readonly event: WebhookEvent;
  readonly judgement: Exclude<Judgement, { kind: "noted" }>;
}

/** Records events that came for the first time and settles what they answer. Gives the ids of those that are refused. */
async function heed(
  database: Database,
  provider: string,
  weighty: readonly Weighty[],
  ports: PaymentsPorts,
): Promise<string[]> {
  return await database.transaction(async (tx) => {
    const fresh = await recordWebhooks(
      tx,
      weighty.map((it) => toRow(provider, it)),
    );
    const news = weighty.filter(({ event }) => fresh.has(event.id));
    const answers = news.flatMap(({ judgement }) => (judgement.kind === "settles" ? [judgement] : []));
    if (answers.length > 0) await settleAnswers(tx, answers, { ...ports, now: await databaseNow(tx) });
    await recordIncidents(tx, news.flatMap(incidentOf));
    tx.afterCommit(() => tell(news));
    return news.flatMap(({ event, judgement }) => (judgement.kind === "refused" ? [event.id] : []));
  });
}

function onceEach(events: readonly WebhookEvent[]): WebhookEvent[] {
  const byId = new Map(events.map((event) => [event.id, event]));
  return [...byId.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
}

/** An event that contradicts our payment of its order. One whose order we do not know is in nobody's history. */
function incidentOf({ event: { id, data }, judgement }: Weighty) {
  if (judgement.kind !== "refused" || judgement.why === "UNKNOWN_ORDER") return [];
  const detail = `Event ${id} does not fit: ${judgement.why}.`;
  return [{ orderId: data.reference, what: "WEBHOOK_REFUSED", movement: null, detail }];
}

function toRow(provider: string, { event, judgement }: Weighty): ReceivedWebhook {
  const { id: eventId, data } = event;
  const base = { provider, eventId, orderId: data.reference, refusal: null };
  switch (judgement.kind) {
    case "settles":
      return { ...base, result: "SETTLES" };
    case "refused":
      return { ...base, result: "REFUSED", refusal: judgement.why };
    default:
      return judgement satisfies never;
  }
}

function tell(news: readonly Weighty[]): void {
  for (const [result, alike] of Map.groupBy(news, ({ judgement }) => judgement.kind)) {
    telemetry.webhookReceived({ result, count: alike.length });
  }
  for (const { event, judgement } of news) {
    if (judgement.kind === "refused") telemetry.webhookMismatch({ event: event.id, why: judgement.why });
  }
}
