import {
  circuitBreaker,
  ExponentialBackoff,
  handleAll,
  type IPolicy,
  isBrokenCircuitError,
  retry,
  SamplingBreaker,
  wrap,
} from "cockatiel";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type FaultKind, noFaults, readFaults, setFaults } from "../src/index.ts";
import { Merchant } from "./merchant.ts";

// What the line to the provider decided, measured: the retry outside of the breaker, or inside of it. The policies are the
// line's own, the provider is a process, its faults are the simulator's. docs/decisions has what was seen.
let shop: Merchant;
let keys = 0;

beforeAll(async () => {
  shop = await Merchant.open();
});
afterAll(() => shop[Symbol.asyncDispose]());

type Order = "retry outside" | "retry inside";

function compose(order: Order): IPolicy {
  const breaker = circuitBreaker(handleAll, {
    halfOpenAfter: 1_000,
    breaker: new SamplingBreaker({ threshold: 0.5, duration: 5_000, minimumRps: 5 }),
  });
  const again = retry(handleAll, {
    maxAttempts: 1,
    backoff: new ExponentialBackoff({ initialDelay: 100, maxDelay: 250 }),
  });
  return order === "retry outside" ? wrap(again, breaker) : wrap(breaker, again);
}

interface Seen {
  readonly calls: number;
  readonly succeeded: number;
  /** Attempts that the provider met. */
  readonly sent: number;
  /** Calls that were ended by the open circuit. */
  readonly refused: number;
  /** From the first call to the first that the circuit refused. */
  readonly openedAfterMs: number | undefined;
}

/** Sends calls from 16 buyers at once, each at its pace, against a provider with these faults. */
async function measure(order: Order, shares: Partial<Record<FaultKind, number>>, calls: number): Promise<Seen> {
  const policy = compose(order);
  // A share of all calls, by seed and key: both meet as many, if not the same.
  await setFaults(shop.provider.url, shop.secrets.apiSecret, { ...noFaults, seed: 3, shares });
  const before = await hits();
  const began = performance.now();
  let [sent, succeeded, refused, started] = [0, 0, 0, 0];
  let openedAfterMs: number | undefined;
  const attempt = (key: string) => async () => {
    sent++;
    const { status } = await shop.authorise(key);
    if (status !== 200) throw new Error(`It answered ${status}.`);
  };
  const buyer = async () => {
    while (started++ < calls) {
      try {
        await policy.execute(attempt(`m${keys++}`));
        succeeded++;
      } catch (error) {
        if (!isBrokenCircuitError(error)) continue;
        refused++;
        openedAfterMs ??= performance.now() - began;
        // Despite "tests do not sleep": a buyer who was refused comes back a little later, as an order's next try does.
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    }
  };
  await Promise.all(Array.from({ length: 16 }, buyer));
  expect((await hits()) - before).toBeLessThanOrEqual(sent);
  return { calls, succeeded, sent, refused, openedAfterMs };
}

const hits = async () =>
  Object.values((await readFaults(shop.provider.url, shop.secrets.apiSecret)).hits).reduce((sum, it) => sum + it, 0);

async function both(shares: Partial<Record<FaultKind, number>>, calls: number) {
  const outside = await measure("retry outside", shares, calls);
  const inside = await measure("retry inside", shares, calls);
  console.log(JSON.stringify({ shares, outside, inside }));
  return { outside, inside };
}

test("single 500s: both hide them, and neither opens", { timeout: 120_000 }, async () => {
  const { outside, inside } = await both({ failBefore: 0.05 }, 1_000);
  for (const { succeeded, refused, calls } of [outside, inside]) {
    expect(succeeded / calls).toBeGreaterThan(0.98);
    expect(refused).toBe(0);
  }
});

test("a dead provider is sent less, and left sooner, with the retry outside", { timeout: 120_000 }, async () => {
  const { outside, inside } = await both({ down: 1 }, 600);
  expect(outside.succeeded + inside.succeeded).toBe(0);
  expect(outside.sent).toBeLessThan(inside.sent);
  expect(outside.openedAfterMs ?? Number.NaN).toBeLessThan(inside.openedAfterMs ?? Number.NaN);
});

test("one that fails three times in five is spared with the retry outside, and hammered with it inside", {
  timeout: 120_000,
}, async () => {
  const { outside, inside } = await both({ failBefore: 0.6 }, 600);
  expect(outside.refused).toBeGreaterThan(0);
  expect(outside.sent / outside.calls).toBeLessThan(inside.sent / inside.calls);
});
