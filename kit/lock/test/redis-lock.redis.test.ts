import { LockTimeoutError, RedisLocks } from "@onsale/lock";
import { RedisUnavailableError } from "@onsale/redis";
import { ownRedis, requiresRedis, type TestRedis, testRedis, waitFor } from "@onsale/testing";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

// No lease of this length ends during a test: who is woken was woken by a signal.
const long = { waitMs: 20_000, leaseMs: 600_000 };

describe.skipIf(!(await requiresRedis()))("a lock in Redis", () => {
  let place: TestRedis;
  beforeAll(async () => {
    place = await testRedis();
  });
  afterAll(() => place[Symbol.asyncDispose]());

  /** As another process would have it: a connection and a line of its own. */
  const process = (): RedisLocks => new RedisLocks(place.open());

  test("lets one in at a time, of this process and of others, with tokens that rise in the order of holding", async () => {
    const processes = [process(), process(), process()];
    const tokens: number[] = [];
    let inside = 0;
    await Promise.all(
      Array.from({ length: 30 }, async (_, index) => {
        await using lock = await (processes[index % 3] ?? process()).acquire("one", long);
        expect(++inside).toBe(1);
        tokens.push(lock.token);
        await Promise.resolve();
        inside--;
      }),
    );
    expect(tokens).toHaveLength(30);
    expect(tokens).toEqual([...tokens].sort((a, b) => a - b));
    expect(new Set(tokens).size).toBe(30);
  });

  test("is a typed timeout, also behind others of the same process", async () => {
    const [one, other] = [process(), process()];
    await using _ = await one.acquire("held", long);
    const inVain = [one.acquire("held", { waitMs: 30 }), other.acquire("held", { waitMs: 30 })];
    for (const late of await Promise.allSettled(inVain)) {
      expect(late).toMatchObject({ reason: new LockTimeoutError("held", 30) });
    }
  });

  test("of a holder that died is free when its lease ends; who only paused can't free the next one's", async () => {
    const died = await process().acquire("lease", { waitMs: 1_000, leaseMs: 60, renewMs: 0 });
    const next = await process().acquire("lease", long);
    expect(next.token).toBeGreaterThan(died.token);
    await waitFor(() => died.lost.aborted);
    expect(await died.release()).toBe("not-held");
    await expect(process().acquire("lease", { waitMs: 10 })).rejects.toThrow(LockTimeoutError);
    expect(await next.release()).toBe("released");
  });

  test("is renewed while it is held, and no more once it may run out", async () => {
    const lock = await process().acquire("renewed", { waitMs: 1_000, leaseMs: 300 });
    await expect(process().acquire("renewed", { waitMs: 700 })).rejects.toThrow(LockTimeoutError);
    expect(lock.lost.aborted).toBe(false);
    lock.letRunOut();
    await using next = await process().acquire("renewed", { waitMs: 20_000 });
    expect(next.token).toBeGreaterThan(lock.token);
    await waitFor(() => lock.lost.aborted);
  });
});

describe.skipIf(!(await requiresRedis()))("a lock in a Redis that forgets or goes away", () => {
  test("tokens go on rising when Redis was emptied, and restored from an old copy", async () => {
    await using own = await ownRedis();
    const locks = new RedisLocks(own.open());
    const tokens: number[] = [];
    const take = async () => {
      await using lock = await waitFor(() => locks.acquire("coupons", long));
      tokens.push(lock.token);
    };
    await take();
    await own.keep("old");
    await take();
    await own.open().send("FLUSHALL");
    await take();
    await own.server.kill();
    await own.start("old");
    await take();
    expect(tokens).toEqual([...new Set(tokens)].sort((a, b) => a - b));
    expect(tokens).toHaveLength(4);
  });

  test("gone, it is an error and never a lock; a holder's lease ends on its own clock", async () => {
    await using own = await ownRedis();
    const locks = new RedisLocks(own.open({ answerMs: 300 }));
    const held = await waitFor(() => locks.acquire("held", { waitMs: 1_000, leaseMs: 500 }));
    await own.server.kill();
    await expect(locks.acquire("other", long)).rejects.toThrow(RedisUnavailableError);
    await waitFor(() => held.lost.aborted);
    expect(await held.release()).toBe("unknown");
    await own.start();
    await using again = await waitFor(() => locks.acquire("held", long));
    expect(again.token).toBeGreaterThan(held.token);
  });
});
