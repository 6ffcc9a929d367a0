/** Faults on demand. Whether one strikes depends on the seed and on what it would strike, never on the order of arrival. */

export const faultKinds = [
  "down",
  "slow",
  "failBefore",
  "failAfter",
  "chargedThenTimeout",
  "declined",
  "webhookDuplicate",
  "webhookLate",
  "webhookReordered",
  "webhookNever",
] as const;

/**
 * - `down`: the connection is cut before the call is looked at; queries too.
 * - `slow`: the call waits `slowMs` before it is looked at.
 * - `failBefore`: 500, nothing was done. `failAfter`: 500, though it was done.
 * - `chargedThenTimeout`: it was done and recorded, then the connection is cut without an answer.
 * - `declined`: the card is refused.
 * - `webhookDuplicate`: an event is sent twice. `webhookLate`: `lateMs` late. `webhookReordered`: after events that came
 *   later. `webhookNever`: not at all.
 */
export type FaultKind = (typeof faultKinds)[number];

export interface FaultSettings {
  /** Another seed strikes other calls. */
  readonly seed: number;
  /** From 0 (never) to 1 (always), per kind. A kind that is absent never strikes. */
  readonly shares: Readonly<Partial<Record<FaultKind, number>>>;
  readonly slowMs: number;
  readonly lateMs: number;
}

export interface FaultReport extends FaultSettings {
  /** How often each kind has struck since the books were begun. */
  readonly hits: Readonly<Record<FaultKind, number>>;
}

export const noFaults: FaultSettings = { seed: 1, shares: {}, slowMs: 3_000, lateMs: 5_000 };

/** A bad day: every kind of fault, each often enough to be met in a few hundred orders. */
export const badDay = (seed: number): FaultSettings => ({
  seed,
  shares: {
    slow: 0.01,
    failBefore: 0.03,
    failAfter: 0.03,
    chargedThenTimeout: 0.03,
    declined: 0.03,
    webhookDuplicate: 0.1,
    webhookLate: 0.05,
    webhookReordered: 0.1,
    webhookNever: 0.05,
  },
  slowMs: 3_000,
  lateMs: 5_000,
});

/** Decides which calls and events a fault strikes, and counts. */
export class Faults {
  settings: FaultSettings = noFaults;
  readonly hits: Record<FaultKind, number> = zeroHits();
  readonly #onHit: (kind: FaultKind) => void;

  constructor(onHit: (kind: FaultKind) => void) {
    this.#onHit = onHit;
  }

  /** Whether `kind` strikes `subject`, a text that names the call and how often it was tried, or the event. */
  strikes(kind: FaultKind, subject: string): boolean {
    const share = this.settings.shares[kind] ?? 0;
    if (share === 0 || fraction(`${this.settings.seed}/${kind}/${subject}`) >= share) return false;
    this.hits[kind]++;
    this.#onHit(kind);
    return true;
  }

  report(): FaultReport {
    return { ...this.settings, hits: { ...this.hits } };
  }
}

function zeroHits(): Record<FaultKind, number> {
  return Object.fromEntries(faultKinds.map((kind) => [kind, 0])) as Record<FaultKind, number>;
}

/** A number in [0, 1) that depends on nothing but the text: FNV-1a, then the finalizer of MurmurHash3 to spread its bits. */
function fraction(text: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < text.length; index++) hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return ((hash ^ (hash >>> 16)) >>> 0) / 2 ** 32;
}
