import { hash } from "node:crypto";
import type { Sku } from "@onsale/contracts/ids";
import { type Redis, RedisUnavailableError } from "@onsale/redis";
import type { Level } from "./levels.ts";
import {
  admitScript,
  completeScript,
  giveBackScript,
  incompleteScript,
  isCompleteScript,
  markScript,
  tellScript,
} from "./scripts.ts";
import type { LevelBoard } from "./tell-gate.ts";

/**
 * Milliseconds for which a level is believed after the ledger told it. So long at most the gate refuses what the ledger would
 * grant, whatever happens to Redis or to inventory; and once in so long, while a crowd stands before an empty shelf, a few
 * get through whose refusal by the ledger tells the level anew.
 */
export const believedMs = 1_000;

/** A day, for which a request's Idempotency-Key is kept. */
const rememberedMs = 24 * 60 * 60 * 1_000;

/** After Redis did not answer nobody asks it for so long, or each request would wait for it. */
const leftAloneMs = 500;

/** A request is told from others by who sent it and under which key. */
export interface GateRequest {
  readonly personId: string;
  readonly key: string;
}

export interface GateLine {
  readonly sku: Sku;
  readonly quantity: number;
}

export type Admission =
  /** `isRemembered`: should the same request come again it goes through again. */
  | { readonly kind: "through"; readonly isRemembered: boolean }
  /** `isFirst`: no request of that key has gone through. Where that is not certain, the database knows. */
  | { readonly kind: "sold-out"; readonly skus: readonly Sku[]; readonly isFirst: boolean };

/**
 * The gate in front of the intake: what the ledger said last is left of each SKU, in Redis, less what was let through since.
 * It refuses and never grants: what goes through is decided by the ledger. An unknown shelf, a level that is no longer
 * believed, and a Redis that is away let everybody through; so a Redis that was emptied, killed or restored from an old
 * copy (whose levels are long over) is right again when the ledger has decided the next order.
 */
export class StockGate implements LevelBoard {
  readonly #redis: Redis;
  readonly #levelMs: number;
  readonly #underWay = new Set<Promise<unknown>>();
  /** Which run of Redis we are connected to: an old copy, loaded by another run, remembers less than it says. */
  #run: string | undefined;
  #isLeftAlone = false;
  /** Requests went through that could not be remembered. */
  #hasForgotten = false;

  /** `levelMs`: for how long a level is believed. */
  constructor(redis: Redis, { levelMs = believedMs }: { readonly levelMs?: number } = {}) {
    this.#redis = redis;
    this.#levelMs = levelMs;
    redis.onReconnect(() => {
      this.#run = undefined;
    });
  }

  tell(levels: readonly Level[]): void {
    if (levels.length === 0) return;
    const keys = levels.map(({ sku }) => shelfKey(sku));
    this.#inBackground(
      this.#redis.run(tellScript, {
        keys,
        args: [this.#levelMs, ...levels.flatMap(({ left, version }) => [left, version])],
      }),
    );
  }

  async admit(request: GateRequest, lines: readonly GateLine[]): Promise<Admission> {
    if (this.#isLeftAlone) return { kind: "through", isRemembered: false };
    try {
      const run = this.#hasForgotten ? noRun : await this.#currentRun();
      const [verdict = 1, ...inTheWay] = await this.#redis.run(admitScript, {
        keys: [memoryKey, requestKey(request), ...lines.map(({ sku }) => shelfKey(sku))],
        args: [run, rememberedMs, ...lines.map(({ quantity }) => quantity)],
      });
      if (verdict === 1) return { kind: "through", isRemembered: true };
      return { kind: "sold-out", skus: inTheWay.flatMap((index) => lines[index]?.sku ?? []), isFirst: verdict === 0 };
    } catch {
      this.#leaveAlone();
      return { kind: "through", isRemembered: false };
    }
  }

  /** The order was not placed: what was taken off for it is there for others. */
  giveBack(lines: readonly GateLine[]): void {
    const keys = lines.map(({ sku }) => shelfKey(sku));
    this.#inBackground(this.#redis.run(giveBackScript, { keys, args: lines.map(({ quantity }) => quantity) }));
  }

  /** A request that went through unremembered was accepted. */
  async remember(request: GateRequest): Promise<void> {
    try {
      await this.#redis.run(markScript, { keys: [requestKey(request)], args: [rememberedMs] });
    } catch {
      this.#hasForgotten = true;
    }
  }

  /**
   * Sees to it that every request of the last day is remembered: `accepted` reads them where Redis may have lost some. Until then
   * each refusal asks the database for its key. With a Redis that is away it is for the next time.
   */
  async restoreMemory(accepted: () => AsyncIterable<readonly GateRequest[]>): Promise<void> {
    try {
      await this.#restoreMemory(accepted);
    } catch (error) {
      if (!(error instanceof RedisUnavailableError)) throw error;
    }
  }

  async #restoreMemory(accepted: () => AsyncIterable<readonly GateRequest[]>): Promise<void> {
    const run = await this.#currentRun();
    if (this.#hasForgotten) {
      // For the other processes, too. From here on whoever is not remembered says so again.
      await this.#redis.run(incompleteScript, { keys: [memoryKey], args: [] });
      this.#hasForgotten = false;
    }
    if ((await this.#redis.run(isCompleteScript, { keys: [memoryKey], args: [run] })) === 1) return;
    for await (const requests of accepted()) {
      await this.#redis.run(markScript, { keys: requests.map(requestKey), args: [rememberedMs] });
    }
    if (!this.#hasForgotten) await this.#redis.run(completeScript, { keys: [memoryKey], args: [run] });
  }

  /** Resolves when everything told so far has arrived, or failed to. */
  async settled(): Promise<void> {
    while (this.#underWay.size > 0) await Promise.all(this.#underWay);
  }

  #leaveAlone(): void {
    this.#isLeftAlone = true;
    const askAgain = () => {
      this.#isLeftAlone = false;
    };
    setTimeout(askAgain, leftAloneMs).unref();
  }

  async #currentRun(): Promise<string> {
    if (this.#run !== undefined) return this.#run;
    const information = String(await this.#redis.send("INFO", "server"));
    const [, run] = /^run_id:(\w+)/m.exec(information) ?? [];
    if (run === undefined) throw new RedisUnavailableError("Redis does not say which run of it this is.");
    this.#run = run;
    return run;
  }

  /** What is lost is told again by the next decision, or is no longer believed. */
  #inBackground(work: Promise<unknown>): void {
    const done = work.catch(() => undefined).finally(() => this.#underWay.delete(done));
    this.#underWay.add(done);
  }
}

/** No run of Redis is called so: the memory counts as incomplete. */
const noRun = "none";

const memoryKey = "gate:remembers-all";
const shelfKey = (sku: Sku): string => `gate:left:${sku}`;

/** Hashed: keys are long, and whose they are is nobody's business there. */
const requestKey = ({ personId, key }: GateRequest): string =>
  `gate:through:${hash("sha256", `${personId} ${key}`, "base64url")}`;
