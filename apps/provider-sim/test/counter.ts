/** A shop's till with real providers: the payments service on a database of its own, its adapter, and processes that answer it. */

import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { orderPayable, orderReturned, orderSecured, orderWithdrawn } from "@onsale/contracts/orders";
import {
  createHttpServer,
  createTokenSigner,
  createTokenVerifier,
  type HttpServer,
  newTokenKey,
  type TokenSigner,
} from "@onsale/http";
import type { Delivered } from "@onsale/messaging";
import { type PaymentsPorts, payments } from "@onsale/payments";
import { createCardProvider } from "@onsale/payments/card-provider";
import { defaultAnomalyRule } from "@onsale/payments/ports";
import { bigint, type Database, nullable, sql, text } from "@onsale/postgres";
import { ids, silentLogger } from "@onsale/runtime";
import { deliver, eventOf, readOutbox, type TestDatabase, testDatabase } from "@onsale/testing";
import { Merchant } from "./merchant.ts";

const realm = { issuer: "onsale", audience: "onsale" };
const never = new AbortController().signal;

export const orderOf = (number: number) => `0192f0c1-0000-7000-8000-${number.toString().padStart(12, "0")}`;
export const payable = (number: number, { amountMinor = 1000, currency = "GBP" } = {}) =>
  eventOf(orderPayable, { orderId: orderOf(number), amountMinor, currency }, { sequence: 2 });
export const secured = (number: number) => eventOf(orderSecured, { orderId: orderOf(number) }, { sequence: 4 });
export const withdrawn = (number: number) => eventOf(orderWithdrawn, { orderId: orderOf(number) }, { sequence: 9 });
export const returned = (number: number, refundMinor: number) =>
  eventOf(orderReturned, { orderId: orderOf(number), returnId: randomUUID(), refundMinor }, { sequence: 6 });

export class Counter implements AsyncDisposable {
  readonly own: TestDatabase;
  readonly database: Database;
  readonly merchants: readonly Merchant[];
  readonly ports: PaymentsPorts;
  readonly http: HttpServer;
  readonly #tokens: TokenSigner;

  private constructor(parts: Pick<Counter, "own" | "database" | "merchants" | "ports" | "http">, tokens: TokenSigner) {
    this.own = parts.own;
    this.database = parts.database;
    this.merchants = parts.merchants;
    this.ports = parts.ports;
    this.http = parts.http;
    this.#tokens = tokens;
  }

  /** `hearsWebhooks`: the providers are told where this shop listens. */
  static async open({ hearsWebhooks = false, keyMemoryMs = 86_400_000 } = {}): Promise<Counter> {
    const merchants = await Promise.all([Merchant.open({ keyMemoryMs }), Merchant.open({ keyMemoryMs })]);
    const own = await testDatabase({ services: [payments] });
    const database = own.open("payments");
    const tokens = await createTokenSigner({ privateKey: newTokenKey(), ...realm });
    const http = await createHttpServer({
      ...{ name: "payments", version: "0", logger: silentLogger() },
      tokens: createTokenVerifier({ publicKeys: tokens.publicKeys, ...realm }),
    });
    const listening = hearsWebhooks ? await freePort() : undefined;
    const ports: PaymentsPorts = {
      ids,
      clock: { now: () => new Date().toISOString() },
      providers: merchants.map(({ provider, secrets }, index) => ({
        name: `card-${"ab"[index]}`,
        card: createCardProvider({
          ...{ url: provider.url, apiSecret: secrets.apiSecret, attemptTimeoutMs: 1_000 },
          ...(listening && {
            webhookUrl: `http://127.0.0.1:${listening}/v1/webhooks/card-providers/card-${"ab"[index]}`,
          }),
        }),
        webhookSecrets: [secrets.webhookSecret],
      })),
      askingAgain: { firstMs: 0, longestMs: 0, overdueMs: 60_000 },
      anomalies: { ...defaultAnomalyRule, probeEveryMs: 0 },
    };
    const feeds = { passed: async () => true };
    payments.routes(http, { database, ports, feeds });
    if (listening) await http.listen({ port: listening, host: "127.0.0.1" });
    return new Counter({ own, database, merchants, ports, http }, tokens);
  }

  merchant(index: number): Merchant {
    const merchant = this.merchants[index];
    if (merchant === undefined) throw new Error(`There is no provider ${index}.`);
    return merchant;
  }

  hear(...events: readonly Delivered[]): Promise<void> {
    return this.hearWith(this.ports, ...events);
  }

  async hearWith(ports: PaymentsPorts, ...events: readonly Delivered[]): Promise<void> {
    const [moveMoney] = payments.consumers;
    if (moveMoney === undefined) throw new Error("The service has no consumer.");
    await deliver<PaymentsPorts>(this.database, moveMoney, events, ports);
  }

  async run(job: string, ports = this.ports, signal = never): Promise<void> {
    const found = payments.jobs.find(({ name }) => name === job);
    if (found === undefined) throw new Error(`There is no job ${job}.`);
    await found.run({ database: this.database, ports, feeds: { passed: async () => true } }, signal);
  }

  async call(method: "GET" | "POST", path: string, payload?: object) {
    const authorization = `Bearer ${await this.#tokens.sign({ id: orderOf(99), role: "operator" }, 60)}`;
    const headers = { authorization, ...(payload && { "idempotency-key": randomUUID() }) };
    const answer = await this.http.inject({ method, url: `/v1/admin/${path}`, headers, ...(payload && { payload }) });
    return { status: answer.statusCode, body: answer.json() };
  }

  /** Each payment by its order's number: status, what was charged, refunded and is asked, and what the ledger owes. */
  async books(): Promise<Record<number, string>> {
    const rows = await this.database.query(booksSql, []);
    return Object.fromEntries(
      rows.map(({ order, status, ask, captured, refunded, owed }) => [
        Number(order.slice(-12)),
        `${status} ${captured}-${refunded}=${owed}${ask === null ? "" : ` ${ask}?`}`,
      ]),
    );
  }

  /** What was told of the payment of an order. */
  async told(number: number): Promise<string[]> {
    return (await readOutbox(this.database)).filter(({ key }) => key === orderOf(number)).map(({ type }) => type);
  }

  async paymentOf(number: number): Promise<{ paymentId: string; providerId: string }> {
    const { body } = await this.call("GET", `payments/${orderOf(number)}`);
    return body;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.http.close();
    await Promise.all(this.ports.providers.map(({ card }) => card.close()));
    await this.own.close();
    await Promise.all(this.merchants.map((merchant) => merchant[Symbol.asyncDispose]()));
  }
}

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, "127.0.0.1");
  await once(probe, "listening");
  const { port } = probe.address() as AddressInfo;
  probe.close();
  await once(probe, "close");
  return port;
}

const booksSql = sql("counter.books", {
  takes: [],
  gives: { order: text, status: text, ask: nullable(text), captured: bigint, refunded: bigint, owed: bigint },
})`
  select order_id::text as "order", status, ask_movement as ask, captured_minor as captured, refunded_minor as refunded,
    coalesce((select sum(amount_minor) from payments.ledger_entry as entry
      where entry.order_id = payment.order_id and account = 'provider'), 0)::bigint as owed
  from payments.payment`;
