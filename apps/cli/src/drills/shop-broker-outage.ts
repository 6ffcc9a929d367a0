/** The whole shop, whose broker is frozen and then killed while people buy: who waits for it, what is told, and how each order ends. */

import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { type DrillReport, Findings, type Invariant, quantile, reportOf } from "@onsale/drills";
import { audit } from "../audit/audit.ts";
import { loggedIn } from "../logged-in.ts";
import type { Session } from "../session.ts";
import { Shop } from "../shop.ts";
import { ShopClient } from "../shop-client.ts";
import { type Attempt, buyersAtOnce, buySteadily, type SteadyBuyersOptions } from "./steady-buyers.ts";

export interface ShopBrokerOutageOptions {
  readonly session: Session;
  readonly broker: Broker;
  /** For how long the broker is frozen, in milliseconds. A killed one is away until the shop has started it again. */
  readonly awayMs: number;
  readonly say: (words: string) => void;
}

/** The broker beside the shop. */
export interface Broker {
  freeze(): Promise<void>;
  thaw(): Promise<void>;
  kill(): Promise<void>;
  /** Resolves once the shop has started another in the place of the killed one. */
  startedAgain(): Promise<void>;
}

/** So few that all who wait for a frozen minute, and look after their order every two seconds, are no load of their own. */
const ordersPerSecond = 10;

/** Load before the broker leaves and after it is back. */
const aroundMs = 3_000;

/** An order that is accepted so long after it was sent was held up; a hundredth of it is what it takes. */
const lateMs = 2_000;

/** Above an order's own bound of eleven minutes. */
const patienceMs = 15 * 60_000;

/** Looks at the metrics while the broker is frozen. */
const looks = 6;

/** Of the orders whose events wait, so many at least must be told by the metric: it was looked at up to some seconds before. */
const toldAtLeast = 0.8;

const product = { name: "Sold without a broker", priceMinor: 1_999, currency: "GBP" };
const guests = 16;

export async function drillShopBrokerOutage(options: ShopBrokerOutageOptions): Promise<DrillReport> {
  const { session, broker, awayMs, say } = options;
  const startedAt = performance.now();
  const client = new ShopClient({ url: session.url, connections: buyersAtOnce, signal: session.signal });
  const shop = new Shop(client);
  const findings = new Findings();
  try {
    const buyers = await gather(session, shop, awayMs);
    const frozen = await sitOut(buyers, {
      leave: () => broker.freeze(),
      meanwhile: () => lookNowAndThen(session, awayMs),
      comeBack: () => broker.thaw(),
      loadMs: awayMs + 2 * aroundMs,
    });
    say(
      `frozen: ${frozen.attempts.length} orders; events that waited: ${frozen.told.map(({ events }) => events).join(", ")}`,
    );
    const killed = await sitOut(buyers, {
      leave: () => broker.kill(),
      meanwhile: async () => [],
      comeBack: () => broker.startedAgain(),
      loadMs: 4 * aroundMs,
    });
    say(`killed: ${killed.attempts.length} orders`);
    for (const outage of [frozen, killed]) findings.add([intakeGoesOn(outage), everyOrderIsConfirmed(outage)]);
    findings.add([backlogIsTold(frozen), nobodyIsServedMeanwhile(frozen)]);
    const { checks, violations } = await audit(session);
    const wrong = violations.map(({ check, what }) => `${check}: ${what}`);
    findings.note("books-agree", checks, wrong);
    return reportOf("shop-broker-outage", {
      invariants: findings.invariants,
      figures: { awayMs, ordersPerSecond, frozen: figuresOf(frozen), killed: figuresOf(killed) },
      startedAt,
    });
  } finally {
    await client.close();
  }
}

type Buyers = Omit<SteadyBuyersOptions, "forMs" | "keyPrefix">;

/** Puts enough on a shelf, and lets guests in. */
async function gather(session: Session, shop: Shop, awayMs: number): Promise<Buyers> {
  const operator = loggedIn(shop, session.operator);
  const call = async () => ({ accessToken: await operator(), idempotencyKey: randomUUID() });
  const sku = `OUTAGE-${randomUUID().slice(0, 8)}`;
  await shop.publishProduct(await call(), { sku, ...product });
  const units = Math.ceil(((awayMs + 6 * aroundMs) / 1_000) * ordersPerSecond) + guests;
  await shop.receiveStock(await call(), { sku, units });
  const accessTokens = await Promise.all(Array.from({ length: guests }, async () => (await shop.guest()).accessToken));
  const wish = { currency: product.currency, lines: [{ sku, quantity: 1 }], payment: { method: "card" } };
  return { shop, accessTokens, wish, ordersPerSecond, patienceMs, signal: session.signal };
}

/** What the metrics told at one look. */
export interface Told {
  /** Of the orders' online lane, that wait for the broker. */
  readonly events: number;
  readonly growthPerSecond: number;
  readonly bound: number;
}

/** What happened while the broker was away. Moments are of `performance.now()`. Exported for its test. */
export interface ShopOutage {
  readonly leftAt: number;
  readonly backAt: number;
  readonly attempts: readonly Attempt[];
  readonly told: readonly Told[];
}

interface Way {
  readonly leave: () => Promise<void>;
  readonly meanwhile: () => Promise<readonly Told[]>;
  readonly comeBack: () => Promise<void>;
  readonly loadMs: number;
}

async function sitOut(buyers: Buyers, { leave, meanwhile, comeBack, loadMs }: Way): Promise<ShopOutage> {
  const attempts: Attempt[] = [];
  const buying = buySteadily({ ...buyers, forMs: loadMs, keyPrefix: randomUUID() }, attempts);
  // Its failure is met where it is waited for.
  buying.catch(() => undefined);
  await sleep(aroundMs, undefined, { signal: buyers.signal });
  const leftAt = performance.now();
  await leave();
  let told: readonly Told[];
  try {
    told = await meanwhile();
  } finally {
    await comeBack();
  }
  const backAt = performance.now();
  await buying;
  return { leftAt, backAt, attempts, told };
}

async function lookNowAndThen(session: Session, awayMs: number): Promise<Told[]> {
  const told: Told[] = [];
  for (let look = 1; look <= looks; look++) {
    await sleep(awayMs / looks, undefined, { signal: session.signal });
    told.push(await readMetrics(session.url));
  }
  return told;
}

async function readMetrics(url: string): Promise<Told> {
  const lines = (await (await fetch(`${url}/metrics`)).text()).split("\n");
  const value = (name: string): number => {
    const line = lines.find((it) => it.startsWith(name));
    if (line === undefined) throw new Error(`The metrics have no ${name}.`);
    return Number(line.split(" ").at(-1));
  };
  const lane = '{service="orders",lane="online"}';
  return {
    events: value(`onsale_relay_backlog_events${lane}`),
    growthPerSecond: value(`onsale_relay_backlog_growth_events_per_second${lane}`),
    bound: value("onsale_relay_backlog_bound_events"),
  };
}

/** Exported for its test. */
export const intakeGoesOn = ({ attempts }: ShopOutage): Invariant => ({
  id: "intake-goes-on",
  checked: attempts.length,
  violations: attempts.flatMap(({ number, beganAt, acceptedAt, refusal }) => {
    if (acceptedAt === undefined) return [`order ${number} was not accepted: ${refusal ?? "no answer"}`];
    const took = Math.round(acceptedAt - beganAt);
    return took <= lateMs ? [] : [`order ${number} was accepted after ${took} ms; ${lateMs} at most`];
  }),
});

/** Exported for its test. */
export const everyOrderIsConfirmed = ({ attempts }: ShopOutage): Invariant => ({
  id: "every-order-is-confirmed",
  checked: attempts.length,
  violations: attempts
    .filter(({ end }) => end?.status !== "CONFIRMED")
    .map(({ number, end, refusal }) => `order ${number}: ${refusal ?? end?.reason ?? end?.status ?? "open"}`),
});

const isMeanwhile = ({ leftAt, backAt }: ShopOutage, moment: number | undefined): boolean =>
  moment !== undefined && moment > leftAt && moment < backAt;

/** Each order tells one event at once, and more only when others have heard it. Exported for its test. */
export const backlogIsTold = (outage: ShopOutage): Invariant => {
  const { told, attempts } = outage;
  const waiting = attempts.filter(({ acceptedAt }) => isMeanwhile(outage, acceptedAt)).length;
  const last = told.at(-1);
  const violations = [
    ...(last && waiting > 0 && last.events >= toldAtLeast * waiting
      ? []
      : [`${last?.events} told of ${waiting} waiting`]),
    ...(told.some(({ growthPerSecond }) => growthPerSecond > 0) ? [] : ["no growth was told"]),
    ...(told.every(({ events, bound }) => bound > events) ? [] : ["the bound that was told was passed"]),
  ];
  return { id: "backlog-is-told", checked: told.length, violations };
};

/** Else the broker was not away, and nothing was shown. Exported for its test. */
export const nobodyIsServedMeanwhile = (outage: ShopOutage): Invariant => {
  const begun = outage.attempts.filter(({ beganAt }) => isMeanwhile(outage, beganAt));
  return {
    id: "broker-was-away",
    checked: begun.length,
    violations: begun
      .filter(({ end }) => isMeanwhile(outage, end?.at))
      .map(({ number }) => `order ${number} ended while the broker was frozen`),
  };
};

function figuresOf({ attempts, told, leftAt, backAt }: ShopOutage) {
  const accepted = attempts.flatMap(({ acceptedAt, beganAt }) =>
    acceptedAt === undefined ? [] : [acceptedAt - beganAt],
  );
  const lastEndAt = Math.max(...attempts.map(({ end }) => end?.at ?? Number.NaN));
  return {
    orders: attempts.length,
    awayMs: Math.round(backAt - leftAt),
    acceptedP99Ms: rounded(quantile(accepted, 0.99)),
    acceptedLongestMs: rounded(quantile(accepted, 1)),
    waiting: told.map(({ events }) => events),
    boundEvents: told.at(-1)?.bound,
    // The load goes on for some seconds after the broker's return, and is in it.
    lastEndAfterReturnMs: rounded(lastEndAt - backAt),
  };
}

const rounded = (milliseconds: number | undefined): number | undefined =>
  milliseconds === undefined ? undefined : Math.round(milliseconds);
