import { setTimeout as sleep } from "node:timers/promises";
import { shareOfUnits } from "@onsale/contracts/money";
import type { Token } from "../logged-in.ts";
import type { Order, Shop } from "../shop.ts";
import { Buyers } from "./buyers.ts";
import { type Play, playId } from "./identity.ts";
import { inParallel } from "./in-parallel.ts";
import type { Journal, OrderEnd } from "./journal.ts";
import { type Memory, recall } from "./memory.ts";
import type { Plan, PlannedOrder } from "./plan.ts";
import type { Progress } from "./progress.ts";

/** What is sent, and how. */
export interface ReplayOptions {
  readonly plan: Plan;
  readonly play: Play;
  /** The file's name as the person wrote it, for the journal. */
  readonly file: string;
  readonly currency: string;
  /** Buyers at once: each places an order, waits for its end, and takes the next invoice. */
  readonly buyers: number;
  /** Orders begun per second, whether earlier ones have ended or not; absent: as fast as the buyers are. */
  readonly ratePerSecond?: number;
}

export interface ReplayParts {
  readonly shop: Shop;
  readonly operator: Token;
  /** What only this shop's owner knows; customers' passwords are made from it. */
  readonly secret: string;
  readonly progress: Progress;
  readonly signal: AbortSignal;
}

/** How an order of the file ended, or where it stands. */
export interface OrderOutcome extends OrderEnd {
  readonly planned: PlannedOrder;
}

/** Orders that the journal says were accepted and that the shop does not know: a loss, whatever its cause. */
export class LostOrdersError extends Error {
  override readonly name = "LostOrdersError";
  constructor(invoices: readonly string[]) {
    const shown = invoices.slice(0, 10).join(", ") + (invoices.length > 10 ? ", ..." : "");
    super(`${invoices.length} accepted orders are lost: the shop does not know the orders of the invoices ${shown}.`);
  }
}

export const hasEnded = (outcome: OrderOutcome | undefined): boolean =>
  outcome !== undefined && outcome.status !== "PENDING";

/** Milliseconds between two looks at an order: soon at first, because most end at once, then ever more seldom. */
const firstPauseMs = 40;
const longestPauseMs = 500;
/** Milliseconds after which an order that has not ended is left as it is and counted as pending: above an order's own bound, eleven minutes. */
const patienceMs = 900_000;

/** One run over one file: what the steps of it share. */
export class Run {
  readonly options: ReplayOptions;
  readonly parts: ReplayParts;
  readonly journal: Journal;
  /** What earlier runs wrote down. */
  readonly memory: Memory;
  readonly buyers: Buyers;
  /** By invoice. */
  readonly outcomes = new Map<string, OrderOutcome>();
  #changed = false;

  constructor(options: ReplayOptions, parts: ReplayParts, journal: Journal) {
    this.options = options;
    this.parts = parts;
    this.journal = journal;
    this.memory = recall(journal.entries);
    this.buyers = new Buyers({
      shop: parts.shop,
      journal,
      play: options.play,
      secret: parts.secret,
      guests: this.memory.guests,
      onChange: () => this.noteChange({ changed: true }),
    });
  }

  /** Whether anything is in the shop that was not there before this run. */
  get changed(): boolean {
    return this.#changed;
  }

  noteChange({ changed }: { readonly changed: boolean }): void {
    this.#changed ||= changed;
  }

  /** Somebody came too late: the shop turned the order away, as if it had rejected it. */
  noteTurnedAway(planned: PlannedOrder): void {
    this.outcomes.set(planned.invoice, { planned, status: "REJECTED", reason: "SOLD_OUT", ...noMoney });
  }

  /** Asks the shop where the order stands and keeps the answer; false when the shop does not know it. */
  async look(planned: PlannedOrder, orderId: string): Promise<boolean> {
    const accessToken = await this.buyers.tokenFor(planned);
    const order = await this.parts.shop.order({ accessToken, orderId });
    if (order === undefined) return false;
    const { status, reason, paidMinor, refundedMinor, paidPointsMinor, refundedPointsMinor } = order;
    const money = {
      paidMinor,
      refundedMinor,
      paidPointsMinor,
      refundedPointsMinor,
      returnedMinor: returnedMinor(order),
    };
    this.outcomes.set(planned.invoice, { planned, orderId, status, reason, ...money });
    return true;
  }

  /** Looks again and again until what is known of the order is enough, or until patience ends. */
  async lookUntil(planned: PlannedOrder, orderId: string, enough: (outcome: OrderOutcome) => boolean): Promise<void> {
    const giveUpAt = performance.now() + patienceMs;
    const isReached = (): boolean => {
      const outcome = this.outcomes.get(planned.invoice);
      return outcome !== undefined && enough(outcome);
    };
    for (
      let pauseMs = firstPauseMs;
      !isReached() && performance.now() < giveUpAt;
      pauseMs = Math.min(pauseMs * 1.6, longestPauseMs)
    ) {
      await sleep(pauseMs, undefined, { signal: this.parts.signal });
      if (!(await this.look(planned, orderId))) throw new LostOrdersError([planned.invoice]);
    }
  }

  /** Works through the items with a bar that shows it. */
  async each<Item>(
    what: string,
    items: readonly Item[],
    width: number,
    work: (item: Item) => Promise<void>,
  ): Promise<void> {
    const { progress, signal } = this.parts;
    if (items.length === 0) return;
    progress.begin(what, items.length);
    await inParallel(items, { width, signal, work: counted(work, progress) });
    progress.end();
  }
}

const noMoney = { paidMinor: 0, refundedMinor: 0, paidPointsMinor: 0, refundedPointsMinor: 0, returnedMinor: 0 };

/** Each instrument gives back its share of the units that are back, rounded down. */
const returnedMinor = ({ lines }: Order): number =>
  lines.reduce((sum, { quantity, returnedQuantity, allocations }) => {
    const paid = allocations.filter(({ kind }) => kind === "CARD" || kind === "POINTS");
    return sum + paid.reduce((part, it) => part + shareOfUnits(it.amountMinor, returnedQuantity, quantity), 0);
  }, 0);

export const counted =
  <Item>(work: (item: Item) => Promise<void>, progress: Progress) =>
  async (item: Item): Promise<void> => {
    await work(item);
    progress.step();
  };

/** The name of the file that a play's journal is kept in. */
export const journalName = (play: Play): string => `${playId(play)}.journal`;
