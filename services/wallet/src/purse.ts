/** What happens to one person's points of one currency. The only place that can say INSUFFICIENT_POINTS. */

import type { BuyerId } from "@onsale/contracts/ids";
import type { Currency } from "@onsale/contracts/money";
import { type Instant, later } from "@onsale/contracts/time";
import type { About, MoveKind, Movement } from "./ledger.ts";
import { moves } from "./ledger.ts";
import { byExpiry, type Lot, type NewLot } from "./lot.ts";

/** Whose points of which currency. */
export interface PurseKey {
  readonly personId: BuyerId;
  readonly currency: Currency;
}

/** A purse as it is stored. Its open lots add up to what is available. */
export interface Purse extends PurseKey {
  readonly availableMinor: number;
  readonly heldMinor: number;
  readonly debtMinor: number;
  readonly lots: readonly Lot[];
}

/** Points that an order took from one lot. */
export interface Part {
  readonly lotId: string;
  readonly amountMinor: number;
}

/** Points that go back to the lot they came from, with the end that it has. */
export interface PartBack extends Part {
  readonly expiresAt: Instant | null;
}

/**
 * What goes back to a lot whose time has passed can be used for this long from then: a week, as somebody who sends goods
 * back has to be able to buy others.
 */
export const graceMs = 7 * 24 * 3_600_000;

/**
 * A working copy of a purse while a batch is decided: it notes what happens to it, so that it is written once. Whoever
 * opens one holds the lock of its balance.
 */
export class OpenPurse {
  readonly key: PurseKey;
  readonly movements: Movement[] = [];
  /** Lots that changed and are stored already. */
  readonly changed = new Set<string>();
  /** Lots that points came into which were not loaded: new, or emptied long ago. */
  readonly opened = new Map<string, NewLot>();
  readonly #lots: Map<string, Lot>;
  /** Ids of lots that have something left, the one that ends first in front; null when it has to be put together anew. */
  #queue: string[] | null = null;
  #available: number;
  #held: number;
  #debt: number;

  constructor({ personId, currency, availableMinor, heldMinor, debtMinor, lots }: Purse) {
    this.key = { personId, currency };
    this.#available = availableMinor;
    this.#held = heldMinor;
    this.#debt = debtMinor;
    this.#lots = new Map(lots.map((lot) => [lot.lotId, lot]));
  }

  get availableMinor(): number {
    return this.#available;
  }
  get heldMinor(): number {
    return this.#held;
  }
  get debtMinor(): number {
    return this.#debt;
  }

  /** The lots with what is left in each, the one that ends first in front. */
  get lots(): Lot[] {
    return [...this.#lots.values()].filter(({ remainingMinor }) => remainingMinor > 0).sort(byExpiry);
  }

  lot(lotId: string): Lot | undefined {
    return this.#lots.get(lotId);
  }

  /**
   * Sets points aside, from the lots that end first. `at` is the moment when the order wanted them: what had ended by then is
   * not taken, what has ended since is. Undefined, and nothing changed, where there are not enough.
   */
  hold(amountMinor: number, at: Instant, about: About): Part[] | undefined {
    if (amountMinor > this.#available || amountMinor > this.#usable(at, amountMinor)) return undefined;
    const parts = this.#take(amountMinor, (lot) => isUsable(lot, at));
    this.#note("HELD", amountMinor, about);
    return parts;
  }

  /** Makes points that are set aside the shop's. */
  spend(amountMinor: number, about: About): void {
    this.#note("SPENT", amountMinor, about);
  }

  /** Puts points back into the lots they came from: held ones of an order that ended without them, or spent ones. */
  putBack(kind: "RELEASED" | "GIVEN_BACK", parts: readonly PartBack[], now: Instant, about: About): void {
    for (const { lotId, amountMinor, expiresAt } of parts) {
      const lot = this.#lots.get(lotId) ?? { lotId, remainingMinor: 0, expiresAt };
      const hasEnded = lot.expiresAt !== null && lot.expiresAt <= now;
      this.#put({ ...lot, expiresAt: hasEnded ? later(now, graceMs) : lot.expiresAt }, amountMinor);
    }
    this.#note(kind, sumOf(parts), about);
    this.#repay(about);
  }

  /** Points come in from outside. */
  charge(kind: "CREDITED" | "GRANTED" | "EARNED" | "REDEEMED", lot: NewLot, amountMinor: number, about: About): void {
    if (!this.#lots.has(lot.lotId)) this.opened.set(lot.lotId, lot);
    const before = this.#lots.get(lot.lotId) ?? { lotId: lot.lotId, remainingMinor: 0, expiresAt: lot.expiresAt };
    this.#put(before, amountMinor);
    this.#note(kind, amountMinor, about);
    this.#repay(about);
  }

  /**
   * Takes back what was given for money that went back: first from the lot into which it went, then from the others, and
   * what was spent already becomes a debt. Nothing goes below zero, and nothing is forgotten.
   */
  takeBack(amountMinor: number, lotId: string, about: About): void {
    const taken = Math.min(amountMinor, this.#available);
    const own = Math.min(taken, this.#lots.get(lotId)?.remainingMinor ?? 0);
    this.#put(this.#lots.get(lotId), -own);
    this.#take(taken - own, () => true);
    this.#note("TAKEN_BACK", taken, about);
    this.#note("OWED", amountMinor - taken, about);
  }

  /** Ends the lots whose time passed before that moment. */
  expire(before: Instant): void {
    for (const lot of this.lots) {
      if (lot.expiresAt === null || lot.expiresAt >= before) continue;
      this.#put(lot, -lot.remainingMinor);
      this.#note("EXPIRED", lot.remainingMinor, { documentId: lot.lotId });
    }
  }

  /** Points that come in where some are owed are not kept. */
  #repay(about: About): void {
    const repaid = Math.min(this.#debt, this.#available);
    this.#take(repaid, () => true);
    this.#note("REPAID", repaid, about);
  }

  #usable(at: Instant, wanted: number): number {
    let usable = 0;
    for (const lotId of this.#inOrder()) {
      const lot = this.#lots.get(lotId);
      if (lot && isUsable(lot, at)) usable += lot.remainingMinor;
      if (usable >= wanted) break;
    }
    return usable;
  }

  #take(amountMinor: number, mayTake: (lot: Lot) => boolean): Part[] {
    const parts: Part[] = [];
    let left = amountMinor;
    for (const lotId of this.#inOrder()) {
      if (left === 0) break;
      const lot = this.#lots.get(lotId);
      const taken = lot && mayTake(lot) ? Math.min(left, lot.remainingMinor) : 0;
      if (taken === 0) continue;
      this.#put(lot, -taken);
      parts.push({ lotId, amountMinor: taken });
      left -= taken;
    }
    if (left > 0)
      throw new Error(`The lots of ${this.key.personId} hold ${left} ${this.key.currency} less than its balance.`);
    return parts;
  }

  /** Changes what is left in a lot; the balance follows with the movement. */
  #put(lot: Lot | undefined, amountMinor: number): void {
    if (lot === undefined || amountMinor === 0) return;
    const remainingMinor = lot.remainingMinor + amountMinor;
    this.#lots.set(lot.lotId, { ...lot, remainingMinor });
    if (!this.opened.has(lot.lotId)) this.changed.add(lot.lotId);
    // What only became less, or empty, stands where it stood.
    if (amountMinor > 0) this.#queue = null;
  }

  #inOrder(): readonly string[] {
    const queue = this.#queue ?? this.lots.map(({ lotId }) => lotId);
    const first = queue.findIndex((lotId) => (this.#lots.get(lotId)?.remainingMinor ?? 0) > 0);
    this.#queue = first > 0 ? queue.slice(first) : queue;
    return this.#queue;
  }

  #note(kind: MoveKind, amountMinor: number, { orderId = null, documentId = null }: About): void {
    if (amountMinor === 0) return;
    const { available, held, debt } = moves[kind];
    this.#available += available * amountMinor;
    this.#held += held * amountMinor;
    this.#debt += debt * amountMinor;
    this.movements.push({ kind, ...this.key, amountMinor, orderId, documentId });
  }
}

const isUsable = ({ expiresAt }: Lot, at: Instant): boolean => expiresAt === null || expiresAt > at;

const sumOf = (parts: readonly Part[]): number => parts.reduce((sum, { amountMinor }) => sum + amountMinor, 0);

export const purseName = ({ personId, currency }: PurseKey): string => `${personId} ${currency}`;

/** Each of them once, in the order in which every transaction locks them. */
export function inLockOrder(keys: readonly PurseKey[]): PurseKey[] {
  const byName = new Map(keys.map((key) => [purseName(key), key]));
  return [...byName.entries()].sort(([one], [other]) => (one < other ? -1 : 1)).map(([, key]) => key);
}

/** Purses that were locked together, by their names. */
export class OpenPurses {
  readonly #byName: Map<string, OpenPurse>;

  constructor(purses: readonly Purse[]) {
    this.#byName = new Map(purses.map((purse) => [purseName(purse), new OpenPurse(purse)]));
  }

  /** Undefined where the person never had points of the currency. */
  find(key: PurseKey): OpenPurse | undefined {
    return this.#byName.get(purseName(key));
  }

  /** @throws where a purse is missing that the caller's own rows say is there. */
  get(key: PurseKey): OpenPurse {
    const purse = this.find(key);
    if (purse === undefined) throw new Error(`${key.personId} has no balance in ${key.currency}.`);
    return purse;
  }

  /** In the order in which they were locked. */
  all(): readonly OpenPurse[] {
    return [...this.#byName.values()];
  }

  /** Those to which something happened. */
  changed(): OpenPurse[] {
    return this.all().filter(({ movements }) => movements.length > 0);
  }
}
