import { OrderId } from "@onsale/contracts/ids";
import { databaseNow } from "@onsale/postgres";
import type { ServiceContext } from "@onsale/runtime";
import { Compile } from "typebox/compile";
import type { PaymentsPorts } from "./ports.ts";
import { settleAnswers } from "./settle-answers.ts";
import { readPayments } from "./store/payment.ts";
import { type ReceivedWebhook, recordWebhooks } from "./store/webhook.ts";
import { telemetry } from "./telemetry.ts";
import { type Judgement, judge, type WebhookEvent } from "./webhook.ts";

const orderId = Compile(OrderId);

/**
 * Records events of the provider, each once, and settles the open questions that they answer. Returns those that were
 * refused now because they do not fit our payments; an event that came before is neither settled nor refused again.
 * Everything is committed when it returns.
 */
export async function receiveWebhook(
  { database, ports }: Pick<ServiceContext<PaymentsPorts>, "database" | "ports">,
  events: readonly WebhookEvent[],
): Promise<{ refused: string[] }> {
  const sorted = onceEach(events);
  return await database.transaction(async (tx) => {
    // Read without locks, since most events tell what is settled already; what a judgement leads to is decided under the lock.
    const payments = await readPayments(tx, [
      ...new Set(sorted.map(({ data }) => data.reference).filter((it) => orderId.Check(it))),
    ]);
    const judged = sorted.map((event) => ({ event, judgement: judge(event, payments.get(event.data.reference)) }));
    const fresh = await recordWebhooks(tx, judged.map(toRow));
    const news = judged.filter(({ event }) => fresh.has(event.id));
    const answers = news.flatMap(({ judgement }) => (judgement.kind === "settles" ? [judgement] : []));
    if (answers.length > 0) await settleAnswers(tx, answers, { ...ports, now: await databaseNow(tx) });
    tx.afterCommit(() => tell(news));
    return { refused: news.flatMap(({ event, judgement }) => (judgement.kind === "refused" ? [event.id] : [])) };
  });
}

function onceEach(events: readonly WebhookEvent[]): WebhookEvent[] {
  const byId = new Map(events.map((event) => [event.id, event]));
  return [...byId.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
}

function toRow({ event, judgement }: { event: WebhookEvent; judgement: Judgement }): ReceivedWebhook {
  const { id: eventId, data } = event;
  const base = { eventId, orderId: data.reference, refusal: null };
  switch (judgement.kind) {
    case "settles":
      return { ...base, result: "SETTLES" };
    case "noted":
      return { ...base, result: "NOTED" };
    case "refused":
      return { ...base, result: "REFUSED", refusal: judgement.why };
    default:
      return judgement satisfies never;
  }
}

function tell(news: readonly { event: WebhookEvent; judgement: Judgement }[]): void {
  for (const [result, alike] of Map.groupBy(news, ({ judgement }) => judgement.kind)) {
    telemetry.webhookReceived({ result, count: alike.length });
  }
  for (const { event, judgement } of news) {
    if (judgement.kind === "refused") telemetry.webhookMismatch({ event: event.id, why: judgement.why });
  }
}
