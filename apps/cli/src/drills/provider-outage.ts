/** A card provider that is dead for minutes under load: who takes over, what is sold meanwhile, and what its return brings. */

import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { type DrillReport, Findings, type Invariant, quantile, reportOf } from "@onsale/drills";
import { noFaults, setFaults } from "@onsale/provider-sim";
import { audit } from "../audit/audit.ts";
import { loggedIn } from "../logged-in.ts";
import { operatingIn } from "../operate/operations-api.ts";
import { reconcileLedgers } from "../operate/payments.ts";
import type { Session } from "../session.ts";
import { type CardPayment, type ProviderIncident, type ProviderStates, Shop } from "../shop.ts";
import { ShopClient } from "../shop-client.ts";
import { type Attempt, buyersAtOnce, buySteadily } from "./steady-buyers.ts";

export interface ProviderOutageOptions {
  readonly session: Session;
  /** For how long the provider that gets the payments cuts every connection, in milliseconds. */
  readonly awayMs: number;
  readonly ordersPerSecond: number;
  readonly say: (words: string) => void;
}

/** Load before the provider leaves, and after it is back. */
const aroundMs = 5_000;

/** An order's own bound is eleven minutes; one that is open after that is a violation, not a wait. */
const patienceMs = 15 * 60_000;

/** Orders that began so shortly before the provider left, or before the switch, may have been under way on it. */
const settlingMs = 2_000;

/** Probes come every five seconds, and three answers in a row are a recovery. */
const recoveryMs = 60_000;
const lookEveryMs = 250;

const product = { name: "Sold through an outage", priceMinor: 1_999, currency: "GBP" };
const guests = 32;

export async function drillProviderOutage(options: ProviderOutageOptions): Promise<DrillReport> {
  const { session, awayMs, ordersPerSecond, say } = options;
  const startedAt = performance.now();
  const client = new ShopClient({ url: session.url, connections: buyersAtOnce, signal: session.signal });
  const shop = new Shop(client);
  const operator = loggedIn(shop, session.operator);
  try {
    const forMs = awayMs + 2 * aroundMs;
    const sku = await stock(shop, operator, Math.ceil((forMs / 1_000) * ordersPerSecond) + guests);
    const accessTokens = await Promise.all(
      Array.from({ length: guests }, async () => (await shop.guest()).accessToken),
    );
    const wish = { currency: product.currency, lines: [{ sku, quantity: 1 }], payment: { method: "card" } };
    const attempts: Attempt[] = [];
    const buying = buySteadily(
      { shop, accessTokens, wish, ordersPerSecond, forMs, patienceMs, keyPrefix: sku, signal: session.signal },
      attempts,
    );
    // Its failure is met where it is waited for.
    buying.catch(() => undefined);
    await sleep(aroundMs, undefined, { signal: session.signal });
    const outage = await sitOut(options, () => shop.providers({ operator }));
    say(`${outage.left} is back; the shop reported it after ${outage.reportedAfterMs ?? "no"} ms`);
    await buying;
    const findings = new Findings();
    findings.add([oneSwitch(outage), recoveryIsReported(outage), ordersGoOn(attempts, outage), ordersEnd(attempts)]);
    const rerouted = await reroutedOf(attempts, outage, (orderId) => shop.cardPayment({ operator, orderId }));
    findings.add([reroutesAreSold(rerouted)]);
    const ledgers = await operatingIn(session, (api) => reconcileLedgers(api, { repair: false }));
    findings.note(
      "ledgers-agree",
      ledgers.orders,
      ledgers.findings.map(({ kind, detail }) => `${kind}: ${detail}`),
    );
    const { checks, violations } = await audit(session);
    findings.note(
      "books-agree",
      checks,
      violations.map(({ check, what }) => `${check}: ${what}`),
    );
    return reportOf("provider-outage", {
      invariants: findings.invariants,
      figures: { ...figuresOf(options, attempts, outage), begunOnTheDead: summaryOf(rerouted) },
      startedAt,
    });
  } finally {
    await client.close();
  }
}

async function stock(shop: Shop, operator: () => Promise<string>, units: number): Promise<string> {
  const sku = `OUTAGE-${randomUUID().slice(0, 8)}`;
  const call = async () => ({ accessToken: await operator(), idempotencyKey: randomUUID() });
  await shop.publishProduct(await call(), { sku, ...product });
  await shop.receiveStock(await call(), { sku, units });
  return sku;
}

/** What happened while a provider was away. Moments are of `performance.now()`. Exported for its test. */
export interface Outage {
  readonly left: string;
  readonly leftAt: number;
  readonly backAt: number;
  /** When the shop was seen to give new payments to another. */
  readonly switchedAt: number | undefined;
  /** From its return until the shop said so. */
  readonly reportedAfterMs: number | undefined;
  /** What the shop wrote down meanwhile, the oldest first. */
  readonly incidents: readonly ProviderIncident[];
}

async function sitOut(
  { session, awayMs, say }: ProviderOutageOptions,
  look: () => Promise<ProviderStates>,
): Promise<Outage> {
  const before = await look();
  const known = new Set(before.incidents.map(nameOf));
  const provider = session.providers.find(({ name }) => name === before.active);
  if (provider === undefined)
    throw new Error(`The shop gives its payments to ${before.active}, which is not known here.`);
  await setFaults(provider.url, provider.apiSecret, { ...noFaults, shares: { down: 1 } });
  const leftAt = performance.now();
  say(`${provider.name} is away for ${awayMs / 1_000} s`);
  let switchedAt: number | undefined;
  try {
    while (performance.now() - leftAt < awayMs) {
      await sleep(lookEveryMs, undefined, { signal: session.signal });
      if (switchedAt === undefined && (await look()).active !== before.active) switchedAt = performance.now();
    }
  } finally {
    await setFaults(provider.url, provider.apiSecret, noFaults);
  }
  const backAt = performance.now();
  const isReported = ({ incidents }: ProviderStates) =>
    incidents.some((it) => it.what === "RECOVERED" && it.provider === provider.name && !known.has(nameOf(it)));
  let states = await look();
  while (!isReported(states) && performance.now() - backAt < recoveryMs) {
    await sleep(lookEveryMs, undefined, { signal: session.signal });
    states = await look();
  }
  return {
    ...{ left: provider.name, leftAt, backAt, switchedAt },
    reportedAfterMs: isReported(states) ? Math.round(performance.now() - backAt) : undefined,
    incidents: states.incidents.filter((it) => !known.has(nameOf(it))).toReversed(),
  };
}

const nameOf = ({ what, provider, at }: ProviderIncident): string => `${what} ${provider} ${at}`;

/** Exported for its test. */
export const oneSwitch = ({ left, incidents }: Outage): Invariant => {
  const switches = incidents.filter(({ what }) => what === "SWITCHED");
  const [first] = switches;
  const fits = switches.length === 1 && first?.provider !== left && first?.doneBy === null;
  const told = switches.map(({ provider, why }) => `to ${provider} (${why})`).join(", ");
  return {
    id: "one-failover",
    checked: 1,
    violations: fits ? [] : [`${left} left, and the payments went ${told || "nowhere else"}`],
  };
};

/** Exported for its test. */
export const recoveryIsReported = ({ left, incidents, reportedAfterMs }: Outage): Invariant => ({
  id: "recovery-is-reported",
  checked: incidents.length,
  violations:
    reportedAfterMs === undefined ? [`${left} was back, and nothing told so within ${recoveryMs / 1_000} s`] : [],
});

/** Every order that began after the switch is sold, while the provider is still dead. Exported for its test. */
export const ordersGoOn = (attempts: readonly Attempt[], { switchedAt, backAt }: Outage): Invariant => {
  const meanwhile = attempts.filter(
    ({ beganAt }) => switchedAt !== undefined && beganAt > switchedAt + settlingMs && beganAt < backAt,
  );
  return {
    id: "orders-go-on",
    checked: meanwhile.length,
    violations: meanwhile
      .filter(({ end }) => end?.status !== "CONFIRMED")
      .map(({ number, end, refusal }) => `order ${number}: ${refusal ?? end?.reason ?? end?.status ?? "open"}`),
  };
};

/** An order that began while new payments went to the provider that was dead. */
export interface BegunOnTheDead {
  readonly number: number;
  readonly status: string;
  /** How often its payment was given to another provider: only what had never left for the dead one may be. */
  readonly reroutes: number;
}

async function reroutedOf(
  attempts: readonly Attempt[],
  { leftAt, backAt, switchedAt }: Outage,
  read: (orderId: string) => Promise<CardPayment>,
): Promise<BegunOnTheDead[]> {
  const until = (switchedAt ?? backAt) + settlingMs;
  const begun: BegunOnTheDead[] = [];
  for (const { number, orderId, beganAt, end } of attempts) {
    if (orderId === undefined || beganAt < leftAt || beganAt > until) continue;
    const { incidents } = await read(orderId);
    const reroutes = incidents.filter(({ what }) => what === "REROUTED").length;
    begun.push({ number, reroutes, status: end?.status ?? "OPEN" });
  }
  return begun;
}

/** What never left for the dead provider goes to the other one, once, and is sold. Exported for its test. */
export const reroutesAreSold = (begun: readonly BegunOnTheDead[]): Invariant => {
  const rerouted = begun.filter(({ reroutes }) => reroutes > 0);
  return {
    id: "rerouted-once-and-sold",
    checked: rerouted.length,
    violations: rerouted
      .filter(({ reroutes, status }) => reroutes > 1 || status !== "CONFIRMED")
      .map(({ number, reroutes, status }) => `order ${number}: rerouted ${reroutes} times, ${status}`),
  };
};

const summaryOf = (begun: readonly BegunOnTheDead[]) => ({
  orders: begun.length,
  rerouted: begun.filter(({ reroutes }) => reroutes > 0).length,
  confirmed: begun.filter(({ status }) => status === "CONFIRMED").length,
});

/** Exported for its test. */
export const ordersEnd = (attempts: readonly Attempt[]): Invariant => {
  const accepted = attempts.filter(({ orderId }) => orderId !== undefined);
  return {
    id: "accepted-orders-end",
    checked: accepted.length,
    violations: accepted.flatMap(({ number, orderId, end }) =>
      end === undefined ? [`order ${number} (${orderId}) has not ended`] : [],
    ),
  };
};

function figuresOf(
  { awayMs, ordersPerSecond }: ProviderOutageOptions,
  attempts: readonly Attempt[],
  { leftAt, backAt, switchedAt, reportedAfterMs, incidents }: Outage,
) {
  const ends = Map.groupBy(attempts, ({ end, refusal }) =>
    refusal === undefined ? `${end?.status ?? "OPEN"}${end?.reason ? ` ${end.reason}` : ""}` : "NOT ACCEPTED",
  );
  const p99Ms = (isMeant: (attempt: Attempt) => boolean) =>
    quantile(
      attempts.flatMap((attempt) => (attempt.end && isMeant(attempt) ? [attempt.end.at - attempt.beganAt] : [])),
      0.99,
    );
  return {
    ...{ awayMs, ordersPerSecond, orders: attempts.length },
    ends: Object.fromEntries([...ends].map(([end, of]) => [end, of.length])),
    switchedAfterMs: switchedAt === undefined ? undefined : Math.round(switchedAt - leftAt),
    reportedAfterMs,
    quietP99Ms: p99Ms(({ beganAt }) => beganAt < leftAt - settlingMs),
    afterSwitchP99Ms: p99Ms(
      ({ beganAt }) => switchedAt !== undefined && beganAt > switchedAt + settlingMs && beganAt < backAt,
    ),
    incidents: incidents.map(({ what, provider, why }) => `${what} ${provider}: ${why}`),
  };
}
