/** The bench as people of the shop: everything it does goes over HTTP. */

import { createHmac, randomUUID } from "node:crypto";
import type { BenchShop, LogIn } from "./report.ts";

/** Somebody who is logged in, for as long as the bench lasts. */
export interface LoggedIn {
  /** Gives a token that is good for the next call: an access token lives for half an hour, a bench may last longer. */
  readonly token: () => Promise<string>;
}

export interface ShopOperator extends LoggedIn {
  post(path: string, body: unknown): Promise<unknown>;
}

interface Tokens {
  readonly accessToken: string;
  readonly expiresIn: number;
}

/** The share of a token's life after which a new one is asked for. */
const renewAfterShare = 0.5;

/** Logs in when a token is first needed, and again well before it runs out; callers at the same time share one log-in. */
export function loggedIn(url: string, { email, password }: LogIn): LoggedIn {
  let token: Promise<string> | undefined;
  let renewAt = 0;
  const logIn = async (): Promise<string> => {
    const { accessToken, expiresIn } = (await send(url, "/v1/tokens", { email, password }, {})) as Tokens;
    renewAt = performance.now() + expiresIn * 1_000 * renewAfterShare;
    return accessToken;
  };
  return {
    token() {
      if (token && performance.now() < renewAt) return token;
      renewAt = Number.POSITIVE_INFINITY;
      token = logIn();
      return token;
    },
  };
}

export function logIn({ url, operator }: BenchShop): ShopOperator {
  const { token } = loggedIn(url, operator);
  return {
    token,
    post: async (path, body) => send(url, path, body, { authorization: `Bearer ${await token()}` }),
  };
}

async function send(url: string, path: string, body: unknown, headers: Record<string, string>): Promise<unknown> {
  const response = await fetch(`${url}${path}`, {
    method: "POST",
    headers: { ...headers, "content-type": "application/json", "idempotency-key": randomUUID() },
    body: JSON.stringify(body),
  });
  const answer = await response.text();
  if (!response.ok) throw new UnexpectedAnswerError(`POST ${path}`, response.status, answer);
  return JSON.parse(answer);
}

class UnexpectedAnswerError extends Error {
  override readonly name = "UnexpectedAnswerError";
  readonly status: number;

  constructor(call: string, status: number, answer: string) {
    super(`${call} answered ${status}: ${answer.slice(0, 500)}`);
    this.status = status;
  }
}

/** Does `work` for each item, a few at a time; gives the results in the items' order. */
async function eachOf<Item, Result>(
  items: readonly Item[],
  atOnce: number,
  work: (item: Item) => Promise<Result>,
): Promise<Result[]> {
  const results: Result[] = [];
  for (let first = 0; first < items.length; first += atOnce)
    results.push(...(await Promise.all(items.slice(first, first + atOnce).map(work))));
  return results;
}

/** Seeds products with more stock than a run can sell; gives their codes. */
export async function seedProducts(operator: ShopOperator, count: number): Promise<string[]> {
  const skus = Array.from({ length: count }, (_, index) => `BENCH-${index + 1}`);
  await eachOf(skus, 16, async (sku) => {
    const product = { sku, name: `Bench product ${sku}`, priceMinor: 1530, currency: "GBP" };
    await operator.post("/v1/admin/products", product);
    await operator.post("/v1/admin/stock-receipts", { sku, units: 1_000_000 });
  });
  return skus;
}

/** An account that orders, with points in its wallet. */
export interface Buyer extends LogIn {
  readonly accountId: string;
}

/** Of these a wallet can pay what a day of this bench orders, and it can be filled so a thousand times. */
const pointsOfBuyerMinor = 1_000_000_000;
/** Half of what the shop's own line of passwords takes on at once is still far from its end. */
const passwordsAtOnce = 4;

/** Opens accounts, or finds those of an earlier run again, and fills their wallets. */
export async function openBuyers(shop: BenchShop, operator: ShopOperator, count: number): Promise<Buyer[]> {
  const numbers = Array.from({ length: count }, (_, index) => index + 1);
  return await eachOf(numbers, passwordsAtOnce, async (number) => {
    // Made from the operator's, so that nobody who merely knows this bench can log in as its buyers.
    const password = createHmac("sha256", shop.operator.password).update(`bench buyer ${number}`).digest("base64url");
    const logIn = { email: `buyer-${number}@bench.example.com`, password };
    const accountId = await openAccount(shop, logIn, `Bench buyer ${number}`);
    const credit = { currency: "GBP", amountMinor: pointsOfBuyerMinor, reason: "bench" };
    await operator.post(`/v1/admin/wallets/${accountId}/credits`, credit);
    return { ...logIn, accountId };
  });
}

async function openAccount({ url }: BenchShop, logIn: LogIn, name: string): Promise<string> {
  try {
    return ((await send(url, "/v1/accounts", { ...logIn, name }, {})) as { accountId: string }).accountId;
  } catch (error) {
    if (!(error instanceof UnexpectedAnswerError && error.status === 409)) throw error;
    const authorization = `Bearer ${await loggedIn(url, logIn).token()}`;
    const me = await fetch(`${url}/v1/accounts/me`, { headers: { authorization } });
    return ((await me.json()) as { accountId: string }).accountId;
  }
}
