import type { JournalEntry, OrderEnd } from "./journal.ts";

/** What earlier runs of a play wrote down, by what it is asked for. */
export interface Memory {
  readonly stocked: boolean;
  /** Guests' tokens by invoice. */
  readonly guests: ReadonlyMap<string, string>;
  /** Ids of accepted orders by invoice. */
  readonly orders: ReadonlyMap<string, string>;
  /** Invoices whose orders were turned away. */
  readonly turnedAway: ReadonlySet<string>;
  /** How guests' orders ended, by invoice. */
  readonly ends: ReadonlyMap<string, OrderEnd>;
  /** Answered returns by their key, with the code of the refusal where there was one. */
  readonly returns: ReadonlyMap<string, { readonly refusal?: string }>;
}

export function recall(entries: readonly JournalEntry[]): Memory {
  let stocked = false;
  const guests = new Map<string, string>();
  const orders = new Map<string, string>();
  const turnedAway = new Set<string>();
  const ends = new Map<string, OrderEnd>();
  const returns = new Map<string, { readonly refusal?: string }>();
  for (const entry of entries) {
    switch (entry.kind) {
      case "play":
        break;
      case "stocked":
        stocked = true;
        break;
      case "guest":
        guests.set(entry.invoice, entry.accessToken);
        break;
      case "order":
        orders.set(entry.invoice, entry.orderId);
        break;
      case "turned-away":
        turnedAway.add(entry.invoice);
        break;
      case "end":
        ends.set(entry.invoice, entry);
        break;
      case "return":
        returns.set(entry.idempotencyKey, entry);
        break;
      default:
        entry satisfies never;
    }
  }
  return { stocked, guests, orders, turnedAway, ends, returns };
}
