import { join } from "node:path";
import { type AuthoriseRequest, Books, type FollowUpRequest, type MovementEntry, type Outcome, view } from "./books.ts";
import { type FaultKind, type FaultSettings, Faults, noFaults } from "./faults.ts";
import { type Journal, openJournal } from "./journal.ts";
import type { MovementKind, MovementRecord, PaymentRecord } from "./ledger.ts";
import { type WebhookEvent, Webhooks } from "./webhooks.ts";

export interface ProviderOptions {
  /** Where the journal lies. */
  readonly directory: string;
  /** `whsec_` and the key in base64. */
  readonly webhookSecret: string;
  /** Milliseconds for which a key protects its call. */
  readonly keyMemoryMs: number;
  /** The journal could not be written: what is on disk is unknown, and the process must end. */
  readonly onFailure: (error: unknown) => void;
}

/** A line of the journal. */
type Entry =
  | MovementEntry
  | { readonly t: "endpoint"; readonly url: string }
  /** Webhook events that need not be sent any more. */
  | { readonly t: "told"; readonly ids: readonly string[] }
  | { readonly t: "faults"; readonly settings: FaultSettings }
  | { readonly t: "hit"; readonly kind: FaultKind };

/** What the journal told at the start. */
interface Past {
  readonly books: Books;
  readonly owed: Map<string, WebhookEvent>;
  readonly hits: FaultKind[];
  endpoint: string | undefined;
  faults: FaultSettings;
}

export async function openProvider(options: ProviderOptions): Promise<Provider> {
  const past: Past = {
    books: new Books({ keyMemoryMs: options.keyMemoryMs }),
    owed: new Map(),
    hits: [],
    endpoint: undefined,
    faults: noFaults,
  };
  const journal = await openJournal({
    path: join(options.directory, "journal.ndjson"),
    replay: (entry) => remember(past, entry as Entry),
    onFailure: options.onFailure,
  });
  return new Provider(past, journal, options.webhookSecret);
}

function remember(past: Past, entry: Entry): void {
  switch (entry.t) {
    case "movement": {
      const payment = past.books.apply(entry);
      if (past.endpoint === undefined) return;
      const event = eventOf(view(payment, payment.movements.length));
      if (event !== undefined) past.owed.set(event.id, event);
      return;
    }
    case "endpoint":
      past.endpoint = entry.url;
      return;
    case "told":
      for (const id of entry.ids) past.owed.delete(id);
      return;
    case "faults":
      past.faults = entry.settings;
      return;
    case "hit":
      past.hits.push(entry.kind);
      return;
    default:
      entry satisfies never;
  }
}

/** The provider: its books, the journal that keeps them, its faults, and the webhooks that it owes. */
export class Provider {
  readonly books: Books;
  readonly faults: Faults;
  readonly #journal: Journal;
  readonly #webhooks: Webhooks;

  constructor(past: Past, journal: Journal, webhookSecret: string) {
    this.books = past.books;
    this.#journal = journal;
    this.faults = new Faults((kind) => this.#note({ t: "hit", kind }));
    this.faults.settings = past.faults;
    for (const kind of past.hits) this.faults.hits[kind]++;
    this.#webhooks = new Webhooks({
      secret: webhookSecret,
      faults: this.faults,
      onDone: (ids) => this.#note({ t: "told", ids }),
    });
    if (past.endpoint !== undefined) this.#webhooks.endpoint = past.endpoint;
    for (const event of past.owed.values()) this.#webhooks.send(event);
  }

  /**
   * Where webhooks go from now on, those that are still owed too. A merchant has one endpoint; the address given last
   * wins, so that a merchant's server may come back on another port.
   */
  sendWebhooksTo(url: string): void {
    if (url === this.#webhooks.endpoint) return;
    this.#webhooks.endpoint = url;
    this.#note({ t: "endpoint", url });
  }

  /** The answer may be given once `durable()` has resolved. */
  authorise(request: AuthoriseRequest): Outcome {
    const refusal =
      declineOf(request.card) ?? (this.faults.strikes("declined", request.key) ? "card_declined" : undefined);
    return this.#entered(this.books.authorise(request, refusal, Date.now()));
  }

  /** The answer may be given once `durable()` has resolved. */
  follow(request: FollowUpRequest): Outcome {
    return this.#entered(this.books.follow(request, Date.now()));
  }

  /**
   * Resolves when everything that was decided before is on disk; undefined when it is already. Awaited before every
   * answer, old answers and queries too: nobody may be told what a kill can still undo.
   */
  durable(): Promise<void> | undefined {
    return this.#journal.settled();
  }

  setFaults(settings: FaultSettings): void {
    this.faults.settings = settings;
    this.#note({ t: "faults", settings });
  }

  async close(): Promise<void> {
    await this.#webhooks.stop();
    await this.#journal.close();
  }

  #entered(outcome: Outcome): Outcome {
    if (outcome.kind !== "answered" || outcome.entry === undefined) return outcome;
    const written = this.#journal.append(outcome.entry satisfies Entry);
    const event = this.#webhooks.endpoint && eventOf(view(outcome.payment, outcome.number));
    // Told only once it is on disk: a webhook of a charge that a crash undid would be a lie.
    if (event) written.then(() => this.#webhooks.tell(event));
    return outcome;
  }

  #note(entry: Entry): void {
    void this.#journal.append(entry);
  }
}

/** A card whose token begins with `card_declined` is always refused; what follows an underscore is the reason. */
function declineOf(card: string): string | undefined {
  return card.startsWith("card_declined") ? card.slice("card_declined_".length) || "card_declined" : undefined;
}

const verbs: Record<MovementKind, string> = {
  authorise: "authorised",
  capture: "captured",
  cancel: "cancelled",
  refund: "refunded",
};

/** What a webhook tells of a movement. A refused capture, cancel or refund moved nothing and is not told. */
function eventOf(payment: PaymentRecord & { movement: MovementRecord }): WebhookEvent | undefined {
  const { movement } = payment;
  if (movement.refused !== undefined && movement.kind !== "authorise") return undefined;
  const verb = movement.refused === undefined ? verbs[movement.kind] : "declined";
  return {
    id: `evt_${payment.id.slice("pay_".length)}_${movement.number}`,
    type: `payment.${verb}`,
    createdAt: movement.at,
    data: payment,
  };
}
