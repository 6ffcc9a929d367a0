/** One order that goes through one saga, disturbed at one step or not at all. */

import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import type { Database } from "@onsale/postgres";
import { noFaults, setFaults } from "@onsale/provider-sim";
import { readOrderEnds } from "../../audit/order-ends.ts";
import type { ProviderAddress } from "../../audit/provider-ledger.ts";
import { type OpenWork, openWork } from "../../audit/quiet.ts";
import { loggedIn, type Token } from "../../logged-in.ts";
import { type Call, type Shop, UnexpectedAnswerError } from "../../shop.ts";
import type { ShopClient } from "../../shop-client.ts";
import { correlationPrefix } from "./arms.ts";
import { found, price, returnedUnits, type Scenario, units, type Weather } from "./scenarios.ts";
import { type Fault, requestStep } from "./steps.ts";

/** A saga's step and a fault: one row of the table. */
export interface Cell {
  readonly scenario: Scenario;
  readonly step: string;
  readonly fault: Fault;
}

export const cellName = ({ scenario, step, fault }: Cell): string => `${scenario.name} | ${step} | ${fault}`;

export interface Attempt {
  readonly scenario: Scenario;
  /** Absent: it is not disturbed. */
  readonly cell?: Cell;
  readonly correlationId: string;
  readonly idempotencyKey: string;
  orderId?: string;
  /** Of what the buyer asked to send back before. */
  returnId?: string;
  hits: number;
}

export function attemptAt(scenario: Scenario, cell?: Cell): Attempt {
  const id = randomUUID();
  return {
    ...{ scenario, correlationId: `${correlationPrefix}${id}`, idempotencyKey: id, hits: 0 },
    ...(cell && { cell }),
  };
}

export interface World {
  readonly shop: Shop;
  readonly client: ShopClient;
  readonly databaseUrl: string;
  readonly database: Database;
  readonly providers: readonly ProviderAddress[];
  readonly operator: Token;
  readonly signal: AbortSignal;
}

const stockUnits = 1_000_000;
const pointsMinor = 1_000_000_000;
const lookEveryMs = 100;

/** The people and shelves of the drill. */
export class Stage {
  readonly skus: Readonly<Record<Scenario["shelf"], string>>;
  readonly #world: World;
  readonly #buyers: Readonly<Record<Scenario["buyer"], Token>>;
  #weather: Weather = "fair";

  private constructor(world: World, skus: Stage["skus"], buyers: Record<Scenario["buyer"], Token>) {
    this.#world = world;
    this.skus = skus;
    this.#buyers = buyers;
  }

  static async open(world: World): Promise<Stage> {
    const { shop, operator } = world;
    const name = randomUUID().slice(0, 8);
    const call = async () => ({ accessToken: await operator(), idempotencyKey: randomUUID() });
    const skus = { plenty: `SAGA-${name}`, bare: `BARE-${name}` };
    for (const sku of Object.values(skus)) {
      await shop.publishProduct(await call(), { sku, name: "Sold under faults", ...price });
      // Fewer than an order wants, so that it is refused for what there is and not for a product that nobody knows.
      await shop.receiveStock(await call(), { sku, units: sku === skus.bare ? units - 1 : stockUnits });
    }
    const buyers = { rich: await buyer(shop, name, "rich"), poor: await buyer(shop, name, "poor") };
    const accountId = await shop.accountId({ accessToken: await buyers.rich() });
    const reason = "to spend in the drill";
    await shop.givePoints(await call(), { accountId, currency: price.currency, amountMinor: pointsMinor, reason });
    return new Stage(world, skus, buyers);
  }

  /** Brings the shop and the attempts' orders to where their acts begin. */
  async prepare(attempts: readonly Attempt[]): Promise<void> {
    await this.#letItBe(attempts[0]?.scenario.weather ?? "fair");
    const earlier = attempts.filter(({ scenario }) => scenario.act !== "place");
    await Promise.all(
      earlier.map(async (attempt) => {
        const idempotencyKey = `${attempt.idempotencyKey}-placed`;
        // What lapses with its order carries the correlation with which that was placed.
        const { correlationId, scenario } = attempt;
        const call = scenario.isAskedBack ? { idempotencyKey, correlationId } : { idempotencyKey };
        attempt.orderId = await this.#place(attempt, call);
      }),
    );
    await this.#allAre("CONFIRMED", earlier);
    await Promise.all(
      earlier.map(async (attempt) => {
        if (attempt.scenario.isAskedBack) attempt.returnId = await this.#askBack(attempt);
      }),
    );
  }

  /** Sets the saga off, through whatever outage; twice where that is the fault. */
  async act(attempt: Attempt): Promise<void> {
    await this.#actOnce(attempt);
    if (attempt.cell?.step !== requestStep || attempt.cell.fault !== "delivered twice") return;
    await this.#actOnce(attempt);
    attempt.hits++;
  }

  async #actOnce(attempt: Attempt): Promise<void> {
    const { scenario, correlationId, idempotencyKey } = attempt;
    const { shop } = this.#world;
    const call = { accessToken: await this.#buyers[scenario.buyer](), idempotencyKey, correlationId };
    const orderId = attempt.orderId ?? "";
    switch (scenario.act) {
      case "place": {
        const placed = await withoutFaults(() => this.#place(attempt, { idempotencyKey, correlationId }));
        if (attempt.orderId !== undefined && placed !== attempt.orderId)
          throw new Error(`One request made two orders, ${attempt.orderId} and ${placed}.`);
        attempt.orderId = placed;
        return;
      }
      case "cancel":
        return void (await withoutFaults(() => shop.cancelOrder(call, { orderId })));
      case "return":
        return void (await withoutFaults(() => shop.returnLines(call, { orderId, lines: this.#back(scenario) })));
      case "look at return":
        return await withoutFaults(() => this.#lookAtReturn(attempt));
      default:
        scenario.act satisfies never;
    }
  }

  async #place({ scenario }: Attempt, call: Omit<Call, "accessToken">): Promise<string> {
    const { payment, buyer, shelf } = scenario;
    const accessToken = await this.#buyers[buyer]();
    const lines = [{ sku: this.skus[shelf], quantity: units }];
    const wish = { currency: price.currency, lines, payment };
    return (await this.#world.shop.placeOrder({ ...call, accessToken }, wish)).orderId;
  }

  #back({ shelf }: Scenario) {
    return [{ sku: this.skus[shelf], quantity: returnedUnits }];
  }

  async #askBack({ scenario, orderId, idempotencyKey }: Attempt): Promise<string> {
    const accessToken = await this.#buyers[scenario.buyer]();
    const body = { lines: this.#back(scenario) };
    const request = { method: "POST", path: `/v1/orders/${orderId}/returns`, body, accessToken } as const;
    const answer = await this.#world.client.send({ ...request, idempotencyKey: `${idempotencyKey}-back` });
    if (answer.status !== 202) throw new UnexpectedAnswerError(request, answer);
    return (answer.body as { returnId: string }).returnId;
  }

  async #lookAtReturn({ scenario, returnId, idempotencyKey, correlationId }: Attempt): Promise<void> {
    const lines = found.map((finding) => ({ sku: this.skus[scenario.shelf], ...finding }));
    const request = { method: "POST", path: `/v1/admin/returns/${returnId}/inspection`, body: { lines } } as const;
    const accessToken = await this.#world.operator();
    const answer = await this.#world.client.send({ ...request, accessToken, idempotencyKey, correlationId });
    if (answer.status !== 201) throw new UnexpectedAnswerError(request, answer);
  }

  async #letItBe(weather: Weather): Promise<void> {
    if (weather === this.#weather) return;
    const settings = weather === "cards are refused" ? { ...noFaults, shares: { declined: 1 } } : noFaults;
    await Promise.all(this.#world.providers.map(({ url, apiSecret }) => setFaults(url, apiSecret, settings)));
    const policy = { inspect: weather === "returns are looked at", lapseAfterDays: 30 };
    const request = { method: "PUT", path: "/v1/admin/return-policy", body: policy } as const;
    const answer = await this.#world.client.send({ ...request, accessToken: await this.#world.operator() });
    if (answer.status !== 200) throw new UnexpectedAnswerError(request, answer);
    this.#weather = weather;
  }

  async #allAre(status: string, attempts: readonly Attempt[]): Promise<void> {
    const ids = attempts.flatMap(({ orderId }) => orderId ?? []);
    const giveUpAt = performance.now() + settleMs;
    while (ids.length > 0) {
      const ends = await readOrderEnds(this.#world.database, [], ids);
      const others = ids.filter((id) => ends.get(id)?.status !== status);
      if (others.length === 0) return;
      if (performance.now() > giveUpAt) throw new Error(`${others.length} undisturbed orders are not ${status}.`);
      await sleep(lookEveryMs, undefined, { signal: this.#world.signal });
    }
  }

  /**
   * Waits until `isOver` at two looks in a row, because a look counts one store after the other, and what moves meanwhile is
   * counted in neither. Undefined then, and what is still open where it never was.
   */
  async until(
    isOver: (open: OpenWork) => boolean | Promise<boolean>,
    withinMs = settleMs,
  ): Promise<OpenWork | undefined> {
    const giveUpAt = performance.now() + withinMs;
    for (let inARow = 0; ; ) {
      const open = await openWork(this.#world.database);
      inARow = (await isOver(open)) ? inARow + 1 : 0;
      if (inARow === 2) return undefined;
      if (performance.now() > giveUpAt) return open;
      await sleep(lookEveryMs, undefined, { signal: this.#world.signal });
    }
  }
}

/** Within which everything has to come to rest: above the retries of a parked key and a lost provider's answer. */
const settleMs = 60_000;

export const isAtRest = (open: OpenWork): boolean => Object.values(open).every((count) => count === 0);

const password = "only for this drill";

async function buyer(shop: Shop, name: string, kind: string): Promise<Token> {
  const email = `${kind}-${name}@onsale.example`;
  await shop.register({ email, password, name: kind });
  return loggedIn(shop, { email, password });
}

const tries = 5;

/** As a person does who is told that something went wrong: sends it again. */
async function withoutFaults<Result>(send: () => Promise<Result>): Promise<Result> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await send();
    } catch (error) {
      if (attempt === tries || !(error instanceof Error && "status" in error && error.status === 500)) throw error;
    }
  }
}
