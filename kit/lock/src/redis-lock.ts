import { randomUUID } from "node:crypto";
import { type Redis, script } from "@onsale/redis";
import { LockTimeoutError } from "./errors.ts";
import { WaitingLine } from "./waiting-line.ts";

export interface RedisLockOptions {
  /** Milliseconds that the lock is waited for. */
  readonly waitMs: number;
  /** Milliseconds after which Redis frees the lock of a holder that does not renew it. Default 10,000. */
  readonly leaseMs?: number;
  /**
   * Milliseconds for which the lease is renewed, three times in each; then it runs out, since a holder that takes so long is
   * stuck. 0: never. Default 60,000.
   */
  readonly renewMs?: number;
}

/**
 * What became of a release: `not-held` means that the lease had run out before; `unknown` that Redis did not say, and that the
 * lease frees the lock.
 */
export type Release = "released" | "not-held" | "unknown";

/** A lock that is held, as far as one can know without asking. */
export interface HeldLock extends AsyncDisposable {
  readonly name: string;
  /**
   * Higher than that of every earlier holder, also when Redis was emptied or restored in between, as long as its clock did not go
   * back: what a fence compares.
   */
  readonly token: number;
  /** Aborted when the lease has run out unrenewed, or somebody else has the lock. */
  readonly lost: AbortSignal;
  /** Frees it, and wakes who waits for it. Never throws: at the worst the lease ends it. */
  release(): Promise<Release>;
  /** Renews it no more: the lease ends it, if nobody releases it before. */
  letRunOut(): void;
}

// Longer than a pause of a healthy process, short enough to wait for after a crash.
const defaultLeaseMs = 10_000;

// As long as PostgreSQL lets a transaction of ours be idle.
const defaultRenewMs = 60_000;

// Longer lines can't be worked off while anybody waits; those behind hear it at once.
const longestLine = 10_000;

/**
 * Takes the lock if it is free. The token is Redis's clock in microseconds, or one more than the last token where that is
 * higher; the last one outlives the lock. Beyond 2^53, in the year 2255, numbers would lose their last digits.
 */
const takeScript = script<[number, string]>()`
  if not redis.call('set', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then
    return {0, tostring(redis.call('pttl', KEYS[1]))}
  end
  local clock = redis.call('time')
  local last = tonumber(redis.call('get', KEYS[2]) or '0')
  local token = string.format('%.0f', math.max(last + 1, clock[1] * 1000000 + clock[2]))
  redis.call('set', KEYS[2], token)
  return {1, token}`;

const renewScript = script<number>()`
  if redis.call('get', KEYS[1]) ~= ARGV[1] then return 0 end
  return redis.call('pexpire', KEYS[1], ARGV[2])`;

/** By its owner alone: a holder that overran its lease must not free the lock of the next one. */
const releaseScript = script<number>()`
  if redis.call('get', KEYS[1]) ~= ARGV[1] then return 0 end
  redis.call('del', KEYS[1])
  redis.call('publish', KEYS[3], 'free')
  return 1`;

/**
 * Locks among processes, in Redis. They make things quick, not right: a holder may be frozen beyond its lease, and Redis may
 * forget. What is written under a lock is made safe by its token and a `Fence`. When Redis is not available, `acquire` throws
 * `RedisUnavailableError`; it never passes in silence.
 */
export class RedisLocks {
  readonly #redis: Redis;
  readonly #lines = new Map<string, WaitingLine>();

  constructor(redis: Redis) {
    this.#redis = redis;
  }

  /**
   * Waits for the lock: among those of this process in order, and with other processes by being woken, never by asking over and
   * over.
   * @throws {LockTimeoutError}
   */
  async acquire(name: string, options: RedisLockOptions): Promise<HeldLock> {
    const { waitMs, leaseMs = defaultLeaseMs, renewMs = defaultRenewMs } = options;
    const deadline = performance.now() + waitMs;
    const line = this.#lineOf(name);
    if (line.length >= longestLine || !(await line.enter(waitMs))) throw new LockTimeoutError(name, waitMs);
    const leave = () => {
      line.next();
      if (line.isEmpty) this.#lines.delete(name);
    };
    try {
      const taken = await this.#take({ name, owner: randomUUID(), leaseMs }, deadline);
      if (taken === undefined) throw new LockTimeoutError(name, waitMs);
      return new Lease(this.#redis, taken, renewMs, leave);
    } catch (error) {
      leave();
      throw error;
    }
  }

  #lineOf(name: string): WaitingLine {
    const line = this.#lines.get(name) ?? new WaitingLine();
    this.#lines.set(name, line);
    return line;
  }

  async #take(wish: Wish, deadline: number): Promise<Taken | undefined> {
    const first = await this.#tryOnce(wish);
    if (first.kind === "taken") return first;
    const bell = new Bell();
    // Before the second try: what is freed between the two rings already.
    await using _ = await this.#redis.subscribe(keysOf(wish.name)[2], () => bell.ring());
    for (;;) {
      const outcome = await this.#tryOnce(wish);
      if (outcome.kind === "taken") return outcome;
      const leftMs = deadline - performance.now();
      if (leftMs <= 0) return undefined;
      // A holder that died rings nobody: then its lease is over.
      await bell.rung(Math.min(outcome.leaseLeftMs, leftMs));
    }
  }

  async #tryOnce(wish: Wish): Promise<Taken | Held> {
    const { name, owner, leaseMs } = wish;
    // The lease counts from before it was asked for: whoever thinks too early that it is over does no harm.
    const askedAt = performance.now();
    try {
      const [isTaken, value] = await this.#redis.run(takeScript, { keys: keysOf(name), args: [owner, leaseMs] });
      if (isTaken === 1) return { kind: "taken", ...wish, token: Number(value), until: askedAt + leaseMs };
      return { kind: "held", leaseLeftMs: Math.max(Number(value), shortestLookMs) };
    } catch (error) {
      // It may have been taken all the same.
      void this.#redis.run(releaseScript, { keys: keysOf(name), args: [owner] }).catch(() => undefined);
      throw error;
    }
  }
}

// What is left of a lease is told in whole milliseconds.
const shortestLookMs = 1;

/** Holder, last token, and the channel on which it is told that the lock is free. */
const keysOf = (name: string): [string, string, string] => [`lock:${name}`, `lock:${name}:token`, `lock:${name}:free`];

interface Wish {
  readonly name: string;
  readonly owner: string;
  readonly leaseMs: number;
}

interface Taken extends Wish {
  readonly kind: "taken";
  readonly token: number;
  /** On this process's own clock. */
  readonly until: number;
}

interface Held {
  readonly kind: "held";
  readonly leaseLeftMs: number;
}

/** Rings are kept until somebody listens. */
class Bell {
  #rung = false;
  #wake: (() => void) | undefined;

  ring(): void {
    this.#rung = true;
    this.#wake?.();
  }

  async rung(withinMs: number): Promise<void> {
    if (!this.#rung) {
      await new Promise<void>((resolve) => {
        const late = setTimeout(resolve, withinMs);
        this.#wake = () => {
          clearTimeout(late);
          resolve();
        };
      });
    }
    this.#rung = false;
    this.#wake = undefined;
  }
}

/** A lock that was taken: renews its lease until it is released, lost, or has been renewed for long enough. */
class Lease implements HeldLock {
  readonly name: string;
  readonly token: number;
  readonly #redis: Redis;
  readonly #owner: string;
  readonly #leaseMs: number;
  readonly #renewUntil: number;
  readonly #leave: () => void;
  readonly #over = new AbortController();
  #until: number;
  #end: NodeJS.Timeout | undefined;
  #renewal: NodeJS.Timeout | undefined;
  #released: Promise<Release> | undefined;
  #left = false;

  constructor(redis: Redis, { name, owner, leaseMs, token, until }: Taken, renewMs: number, leave: () => void) {
    this.name = name;
    this.token = token;
    this.#redis = redis;
    this.#owner = owner;
    this.#leaseMs = leaseMs;
    this.#until = until;
    this.#renewUntil = performance.now() + renewMs;
    this.#leave = leave;
    this.#watchEnd();
    this.#planRenewal();
  }

  get lost(): AbortSignal {
    return this.#over.signal;
  }

  release(): Promise<Release> {
    this.#released ??= this.#release();
    return this.#released;
  }

  letRunOut(): void {
    clearTimeout(this.#renewal);
    this.#renewal = undefined;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.release();
  }

  async #release(): Promise<Release> {
    this.letRunOut();
    clearTimeout(this.#end);
    try {
      const freed = await this.#redis.run(releaseScript, { keys: keysOf(this.name), args: [this.#owner] });
      return freed === 1 ? "released" : "not-held";
    } catch {
      return "unknown";
    } finally {
      this.#passOn();
    }
  }

  #planRenewal(): void {
    if (performance.now() + this.#leaseMs / 3 >= this.#renewUntil) return;
    this.#renewal = setTimeout(() => void this.#renew(), this.#leaseMs / 3);
    this.#renewal.unref();
  }

  async #renew(): Promise<void> {
    const askedAt = performance.now();
    try {
      const isOurs = await this.#redis.run(renewScript, {
        keys: keysOf(this.name),
        args: [this.#owner, this.#leaseMs],
      });
      if (this.#released !== undefined || this.#over.signal.aborted) return;
      if (isOurs !== 1) return this.#lose();
      this.#until = askedAt + this.#leaseMs;
      this.#watchEnd();
    } catch {
      // Not known is not lost: it is tried again while the lease lasts.
      if (this.#released !== undefined || this.#over.signal.aborted) return;
    }
    if (this.#renewal !== undefined) this.#planRenewal();
  }

  #watchEnd(): void {
    clearTimeout(this.#end);
    this.#end = setTimeout(() => this.#lose(), Math.max(0, this.#until - performance.now()));
    this.#end.unref();
  }

  #lose(): void {
    this.letRunOut();
    clearTimeout(this.#end);
    this.#over.abort();
    this.#passOn();
  }

  /** Once: the next of this process asks for it. */
  #passOn(): void {
    if (this.#left) return;
    this.#left = true;
    this.#leave();
  }
}
