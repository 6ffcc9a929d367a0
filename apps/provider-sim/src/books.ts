import { randomUUID } from "node:crypto";
import type {
  LedgerPayment,
  MovementKind,
  MovementRecord,
  PaymentRecord,
  PaymentStatus,
  StatementLine,
} from "./ledger.ts";

/** A movement as it is kept: moments in milliseconds since 1970. */
interface Movement {
  readonly kind: MovementKind;
  readonly key: string;
  readonly amountMinor: number;
  readonly at: number;
  readonly refused?: string;
}

interface Payment {
  readonly id: string;
  readonly reference: string;
  readonly card: string;
  readonly amountMinor: number;
  readonly currency: string;
  readonly movements: Movement[];
}

/** A line of the journal about money. The first movement of a payment carries the payment. */
export interface MovementEntry extends Movement {
  readonly t: "movement";
  readonly id: string;
  readonly opens?: Omit<Payment, "id" | "movements">;
}

export interface AuthoriseRequest {
  readonly key: string;
  readonly reference: string;
  readonly card: string;
  readonly amountMinor: number;
  readonly currency: string;
}

export interface FollowUpRequest {
  readonly kind: Exclude<MovementKind, "authorise">;
  readonly key: string;
  readonly id: string;
  /** Of a refund; a capture and a cancel take the whole. */
  readonly amountMinor?: number;
}

/** What was made of a request: a movement, now or when the key was first used. */
export interface Answered {
  readonly kind: "answered";
  readonly payment: Payment;
  readonly number: number;
  /** The line to be journaled; absent when the answer is an old one. */
  readonly entry?: MovementEntry;
}

export type Outcome = Answered | { readonly kind: "key-reused" } | { readonly kind: "unknown-payment" };

interface Totals {
  readonly status: PaymentStatus;
  readonly capturedMinor: number;
  readonly refundedMinor: number;
}

/** Which part of the books is to be told. */
export interface StatementWish {
  /** Milliseconds since 1970. */
  readonly since: number;
  readonly after: number;
  readonly limit: number;
}

interface KeyUse {
  readonly payment: Payment;
  readonly number: number;
  /** An older use of the same key, which was forgotten when this one came. */
  readonly before: KeyUse | undefined;
}

/**
 * The provider's books, in memory; the journal is their truth. Asking is in two steps, so that what is journaled and
 * what is applied can't differ: `authorise` and `follow` decide an entry, `apply` makes it true, at the first time and
 * at every replay.
 */
export class Books {
  readonly #payments = new Map<string, Payment>();
  readonly #byReference = new Map<string, Payment[]>();
  readonly #keys = new Map<string, KeyUse>();
  /** Every movement in the order in which it was made. */
  readonly #log: Pick<KeyUse, "payment" | "number">[] = [];
  readonly #keyMemoryMs: number;

  /** A key that was first used longer than `keyMemoryMs` ago protects nothing any more: using it again moves money again. */
  constructor({ keyMemoryMs }: { keyMemoryMs: number }) {
    this.#keyMemoryMs = keyMemoryMs;
  }

  authorise(request: AuthoriseRequest, refusal: string | undefined, now: number): Outcome {
    const use = this.#remembered(request.key, now);
    if (use !== undefined) return sameAuthorise(use, request) ? answered(use) : { kind: "key-reused" };
    const { key, amountMinor, reference, card, currency } = request;
    return this.#entered({
      t: "movement",
      id: `pay_${randomUUID().replaceAll("-", "")}`,
      opens: { reference, card, amountMinor, currency },
      kind: "authorise",
      key,
      amountMinor,
      at: now,
      ...(refusal !== undefined && { refused: refusal }),
    });
  }

  follow({ kind, key, id, amountMinor }: FollowUpRequest, now: number): Outcome {
    const payment = this.#payments.get(id);
    if (payment === undefined) return { kind: "unknown-payment" };
    const use = this.#remembered(key, now);
    if (use !== undefined) {
      const first = movementOf(use);
      const same =
        use.payment === payment && first.kind === kind && (kind !== "refund" || first.amountMinor === amountMinor);
      return same ? answered(use) : { kind: "key-reused" };
    }
    const amount = kind === "refund" ? (amountMinor ?? 0) : payment.amountMinor;
    const refused = whyRefused(kind, amount, totalsOf(payment));
    return this.#entered({
      t: "movement",
      id,
      kind,
      key,
      amountMinor: amount,
      at: now,
      ...(refused !== undefined && { refused }),
    });
  }

  apply({ id, opens, kind, key, amountMinor, at, refused }: MovementEntry): Payment {
    const payment = opens === undefined ? this.#payments.get(id) : this.#open({ id, ...opens, movements: [] });
    if (payment === undefined) throw new Error(`The journal moves payment ${id}, which it never opened.`);
    payment.movements.push({ kind, key, amountMinor, at, ...(refused !== undefined && { refused }) });
    this.#log.push({ payment, number: payment.movements.length });
    this.#keys.set(key, { payment, number: payment.movements.length, before: this.#keys.get(key) });
    return payment;
  }

  byKey(key: string): LedgerPayment[] {
    const payments = new Set<Payment>();
    for (let use = this.#keys.get(key); use !== undefined; use = use.before) payments.add(use.payment);
    return [...payments].map(inFull);
  }

  byReference(reference: string): LedgerPayment[] {
    return (this.#byReference.get(reference) ?? []).map(inFull);
  }

  /** What was done since a moment, from the place `after` on, and where to read on; null at the end. */
  statement({ since, after, limit }: StatementWish): { readonly lines: StatementLine[]; readonly next: string | null } {
    const begin = Math.max(after, this.#placeOf(since));
    const lines = this.#log.slice(begin, begin + limit).flatMap(({ payment, number }) => {
      const movement = movementOf({ payment, number });
      const { id, reference, currency } = payment;
      return movement.refused === undefined ? [{ ...printed(movement, number), id, reference, currency }] : [];
    });
    return { lines, next: begin + limit < this.#log.length ? String(begin + limit) : null };
  }

  /** The place of the first movement that was made at this moment or later; they lie in the order of their moments. */
  #placeOf(moment: number): number {
    let [low, high] = [0, this.#log.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      const use = this.#log[middle];
      if (use !== undefined && movementOf(use).at < moment) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  *all(): Generator<LedgerPayment> {
    for (const payment of this.#payments.values()) yield inFull(payment);
  }

  /** The payment as it was just after a movement of it, which comes beside it. */
  after(id: string, number: number): (PaymentRecord & { movement: MovementRecord }) | undefined {
    const payment = this.#payments.get(id);
    return payment && view(payment, number);
  }

  #entered(entry: MovementEntry): Answered {
    const payment = this.apply(entry);
    return { kind: "answered", payment, number: payment.movements.length, entry };
  }

  #open(payment: Payment): Payment {
    this.#payments.set(payment.id, payment);
    const others = this.#byReference.get(payment.reference);
    if (others === undefined) this.#byReference.set(payment.reference, [payment]);
    else others.push(payment);
    return payment;
  }

  #remembered(key: string, now: number): KeyUse | undefined {
    const use = this.#keys.get(key);
    return use !== undefined && now - movementOf(use).at < this.#keyMemoryMs ? use : undefined;
  }
}

const answered = ({ payment, number }: KeyUse): Answered => ({ kind: "answered", payment, number });

function movementOf({ payment, number }: { payment: Payment; number: number }): Movement {
  const movement = payment.movements[number - 1];
  if (movement === undefined) throw new Error(`Payment ${payment.id} has no movement ${number}.`);
  return movement;
}

function sameAuthorise(use: KeyUse, request: AuthoriseRequest): boolean {
  const { payment, number } = use;
  return (
    number === 1 &&
    payment.reference === request.reference &&
    payment.card === request.card &&
    payment.amountMinor === request.amountMinor &&
    payment.currency === request.currency
  );
}

/** Why money may not move so, or undefined when it may. */
function whyRefused(kind: FollowUpRequest["kind"], amountMinor: number, totals: Totals): string | undefined {
  const { status, capturedMinor, refundedMinor } = totals;
  switch (kind) {
    case "capture":
      return status === "authorised" ? undefined : `already_${status}`;
    case "cancel":
      return status === "authorised" ? undefined : `already_${status}`;
    case "refund":
      if (status !== "captured") return "not_captured";
      return refundedMinor + amountMinor <= capturedMinor ? undefined : "more_than_captured";
    default:
      return kind satisfies never;
  }
}

/** What the movements up to `number` come to. */
function totalsOf(payment: Payment, number = payment.movements.length): Totals {
  let status: PaymentStatus = "declined";
  let capturedMinor = 0;
  let refundedMinor = 0;
  for (const { kind, amountMinor, refused } of payment.movements.slice(0, number)) {
    if (refused !== undefined) continue;
    if (kind === "authorise") status = "authorised";
    else if (kind === "cancel") status = "cancelled";
    else if (kind === "refund") refundedMinor += amountMinor;
    else {
      status = "captured";
      capturedMinor = amountMinor;
    }
  }
  return { status, capturedMinor, refundedMinor };
}

export function view(payment: Payment, number: number): PaymentRecord & { movement: MovementRecord } {
  return { ...headOf(payment, totalsOf(payment, number)), movement: printed(movementOf({ payment, number }), number) };
}

function inFull(payment: Payment): LedgerPayment {
  return {
    type: "payment",
    ...headOf(payment, totalsOf(payment)),
    movements: payment.movements.map((movement, index) => printed(movement, index + 1)),
  };
}

function headOf(payment: Payment, totals: Totals): PaymentRecord {
  const { id, reference, amountMinor, currency } = payment;
  return { id, reference, ...totals, amountMinor, currency, createdAt: instant(payment.movements[0]?.at ?? 0) };
}

function printed({ at, ...movement }: Movement, number: number): MovementRecord {
  return { number, ...movement, at: instant(at) };
}

const instant = (ms: number): string => new Date(ms).toISOString();
