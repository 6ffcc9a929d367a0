import { createHmac, randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { Agent, request } from "undici";
import type { Faults } from "./faults.ts";
import type { MovementRecord, PaymentRecord } from "./ledger.ts";

export interface WebhookEvent {
  /** Unique; the same however often the event is sent. */
  readonly id: string;
  /** `payment.authorised`, `payment.declined`, `payment.captured`, `payment.cancelled`, `payment.refunded`. */
  readonly type: string;
  readonly createdAt: string;
  /** The payment as it was just after the movement. */
  readonly data: PaymentRecord & { readonly movement: MovementRecord };
}

/** The body of a webhook request. */
export interface WebhookBody {
  readonly events: readonly WebhookEvent[];
}

interface Message {
  readonly id: string;
  readonly events: readonly WebhookEvent[];
  readonly body: string;
}

export interface WebhookOptions {
  /** `whsec_` and the key in base64, as Standard Webhooks writes it. */
  readonly secret: string;
  readonly faults: Faults;
  /** Events that need not be sent any more: accepted, or given up. */
  readonly onDone: (eventIds: readonly string[]) => void;
}

// Real providers send within a second or so; waiting this long lets events share a request and a busy caller hear first:
// after 50 ms every second webhook overtook the answer that the merchant was still writing down.
const gatherMs = 250;
// One request stays below the 1 MiB at which servers cut bodies: an event is about 500 bytes.
const eventsPerMessage = 100;
const messagesInFlight = 2;
const answerTimeoutMs = 10_000;
const firstBackoffMs = 200;
const longestBackoffMs = 10_000;
// A message that is answered 4xx this often will not be understood later either; with the backoff this takes minutes.
const refusalsBeforeGivingUp = 20;

/** Delivers events to the endpoint in signed batches, each until it is answered 2xx. */
export class Webhooks {
  readonly #options: WebhookOptions;
  readonly #key: Buffer;
  readonly #agent = new Agent({
    connections: messagesInFlight,
    headersTimeout: answerTimeoutMs,
    bodyTimeout: answerTimeoutMs,
  });
  readonly #stopped = new AbortController();
  readonly #senders = new Set<Promise<void>>();
  #endpoint: string | undefined;
  #ready: WebhookEvent[] = [];
  #gathering: NodeJS.Timeout | undefined;

  constructor(options: WebhookOptions) {
    this.#options = options;
    this.#key = Buffer.from(options.secret.replace(/^whsec_/, ""), "base64");
  }

  get endpoint(): string | undefined {
    return this.#endpoint;
  }

  /** Events that wait move to the new address with those to come. */
  set endpoint(url: string) {
    this.#endpoint = url;
  }

  /** Takes an event over; the faults decide what becomes of it. */
  tell(event: WebhookEvent): void {
    const { faults, onDone } = this.#options;
    if (faults.strikes("webhookNever", event.id)) onDone([event.id]);
    else if (faults.strikes("webhookLate", event.id)) this.#later(event, faults.settings.lateMs);
    // Long enough for events of the next gathering to overtake it.
    else if (faults.strikes("webhookReordered", event.id)) this.#later(event, 5 * gatherMs);
    else {
      this.send(event);
      if (faults.strikes("webhookDuplicate", event.id)) this.#later(event, 2 * gatherMs);
    }
  }

  /** Sends without asking the faults: what was still owed when the process ended. */
  send(event: WebhookEvent): void {
    this.#ready.push(event);
    this.#gather();
  }

  async stop(): Promise<void> {
    this.#stopped.abort();
    clearTimeout(this.#gathering);
    await Promise.all(this.#senders);
    await this.#agent.destroy();
  }

  #later(event: WebhookEvent, ms: number): void {
    sleep(ms, undefined, { signal: this.#stopped.signal }).then(
      () => this.send(event),
      () => undefined, // Stopped: the event is still owed, and is sent after the next start.
    );
  }

  #gather(): void {
    if (this.#stopped.signal.aborted || this.#senders.size >= messagesInFlight) return;
    this.#gathering ??= setTimeout(() => {
      this.#gathering = undefined;
      this.#startSenders();
    }, gatherMs);
  }

  #startSenders(): void {
    while (this.#ready.length > 0 && this.#senders.size < messagesInFlight && !this.#stopped.signal.aborted) {
      const sender: Promise<void> = this.#deliver(this.#ready.splice(0, eventsPerMessage)).finally(() => {
        this.#senders.delete(sender);
        if (this.#ready.length >= eventsPerMessage) this.#startSenders();
        else if (this.#ready.length > 0) this.#gather();
      });
      this.#senders.add(sender);
    }
  }

  /**
   * Sends one message until it is accepted or given up. A batch stays the same message, with the same id, however often
   * it is sent; while the endpoint is down the batches behind it wait, so that nothing piles up in flight.
   */
  async #deliver(events: readonly WebhookEvent[]): Promise<void> {
    const message: Message = {
      id: `msg_${randomUUID()}`,
      events,
      body: JSON.stringify({ events } satisfies WebhookBody),
    };
    let refusals = 0;
    for (let attempt = 0; !this.#stopped.signal.aborted; attempt++) {
      const status = await this.#post(message);
      if (status >= 400 && status < 500) refusals++;
      if ((status >= 200 && status < 300) || refusals >= refusalsBeforeGivingUp) {
        this.#options.onDone(events.map(({ id }) => id));
        return;
      }
      await this.#backOff(attempt);
    }
  }

  /** The status that was answered, 0 when nothing was. */
  async #post({ id, body }: Message): Promise<number> {
    if (this.#endpoint === undefined) return 0;
    const timestamp = String(Math.floor(Date.now() / 1000));
    try {
      const answer = await request(this.#endpoint, {
        method: "POST",
        dispatcher: this.#agent,
        signal: this.#stopped.signal,
        headers: {
          "content-type": "application/json",
          "webhook-id": id,
          "webhook-timestamp": timestamp,
          "webhook-signature": this.#sign(id, timestamp, body),
        },
        body,
      });
      await answer.body.dump();
      return answer.statusCode;
    } catch {
      return 0;
    }
  }

  /** Standard Webhooks 1.0: HMAC-SHA256 over `id.timestamp.body`. */
  #sign(id: string, timestamp: string, body: string): string {
    return `v1,${createHmac("sha256", this.#key).update(`${id}.${timestamp}.${body}`).digest("base64")}`;
  }

  async #backOff(attempt: number): Promise<void> {
    const ms = Math.min(longestBackoffMs, firstBackoffMs * 2 ** attempt) * (0.5 + Math.random() / 2);
    await sleep(ms, undefined, { signal: this.#stopped.signal }).catch(() => undefined);
  }
}
