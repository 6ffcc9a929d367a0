import { questionOf } from "../src/ask-provider.ts";
import type { Answer, Payment } from "../src/payment.ts";
import type { CardProvider } from "../src/provider.ts";

interface Held {
  readonly id: string;
  readonly amountMinor: number;
  state: "authorised" | "captured" | "cancelled";
  refundedMinor: number;
}

/** A card provider in memory that always answers, and gives the same answer to the same key. */
export class ModelProvider implements CardProvider {
  readonly keyMemoryMs = 86_400_000;
  authorisations = 0;
  captures = 0;
  readonly #declines: boolean;
  readonly #held = new Map<string, Held>();
  readonly #answers = new Map<string, Answer>();

  constructor({ declines = false }: { declines?: boolean } = {}) {
    this.#declines = declines;
  }

  /** Another provider with the same books. */
  copy(): ModelProvider {
    const copy = new ModelProvider({ declines: this.#declines });
    copy.authorisations = this.authorisations;
    copy.captures = this.captures;
    for (const [id, held] of this.#held) copy.#held.set(id, { ...held });
    for (const [key, answer] of this.#answers) copy.#answers.set(key, answer);
    return copy;
  }

  /** Puts a payment's open question. */
  ask(payment: Payment): Answer {
    const { key, kind, amountMinor, providerId } = questionOf(payment);
    return kind === "authorise"
      ? this.#authorise(key, amountMinor)
      : this.#follow(key, kind, providerId ?? "", amountMinor);
  }

  get capturedMinor(): number {
    return this.#sum((it) => (it.state === "captured" ? it.amountMinor : 0));
  }

  get refundedMinor(): number {
    return this.#sum((it) => it.refundedMinor);
  }

  get isSetAside(): boolean {
    return [...this.#held.values()].some(({ state }) => state === "authorised");
  }

  authorise = async ({ key, amountMinor }: { key: string; amountMinor: number }) =>
    this.#authorise(key, amountMinor) as Extract<Answer, { kind: "authorised" | "declined" }>;
  capture = async ({ key, providerId }: { key: string; providerId: string }) =>
    this.#follow(key, "capture", providerId) as Extract<Answer, { kind: "captured" | "refused" }>;
  cancel = async ({ key, providerId }: { key: string; providerId: string }) =>
    this.#follow(key, "void", providerId) as Extract<Answer, { kind: "cancelled" | "captured" | "refused" }>;
  refund = async ({ key, providerId, amountMinor }: { key: string; providerId: string; amountMinor: number }) =>
    this.#follow(key, "refund", providerId, amountMinor) as Extract<Answer, { kind: "refunded" | "refused" }>;
  query = async ({ key }: { key: string }) =>
    (this.#answers.get(key) as Exclude<Answer, { kind: "unknown" }> | undefined) ?? { kind: "not-found" as const };
  statement = async () => ({ kind: "unknown" as const, why: "The model writes no statements." });
  probe = async () => true;
  close = async () => undefined;

  #authorise(key: string, amountMinor: number): Answer {
    return this.#once(key, () => {
      if (this.#declines) return { kind: "declined", reason: "card_declined" };
      this.authorisations++;
      const id = `pay_${key}`;
      this.#held.set(id, { id, amountMinor, state: "authorised", refundedMinor: 0 });
      return { kind: "authorised", providerId: id };
    });
  }

  #follow(key: string, kind: "capture" | "void" | "refund", id: string, amountMinor = 0): Answer {
    return this.#once(key, () => {
      const held = this.#held.get(id);
      if (held === undefined) return { kind: "refused", reason: "unknown_payment" };
      if (kind === "capture") return this.#capture(held);
      if (kind === "void") return this.#cancel(held);
      if (held.state !== "captured" || held.refundedMinor + amountMinor > held.amountMinor) {
        return { kind: "refused", reason: "more_than_captured" };
      }
      held.refundedMinor += amountMinor;
      return { kind: "refunded" };
    });
  }

  #capture(held: Held): Answer {
    if (held.state === "cancelled") return { kind: "refused", reason: "already_cancelled" };
    if (held.state === "authorised") this.captures++;
    held.state = "captured";
    return { kind: "captured" };
  }

  #cancel(held: Held): Answer {
    if (held.state === "captured") return { kind: "captured" };
    held.state = "cancelled";
    return { kind: "cancelled" };
  }

  #once(key: string, decide: () => Answer): Answer {
    const before = this.#answers.get(key);
    if (before !== undefined) return before;
    const answer = decide();
    this.#answers.set(key, answer);
    return answer;
  }

  #sum(of: (held: Held) => number): number {
    return [...this.#held.values()].reduce((sum, it) => sum + of(it), 0);
  }
}
