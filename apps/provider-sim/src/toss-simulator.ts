/**
 * Toss Payments as its public API describes it, as far as a merchant with card payments meets it: the window's outcome,
 * confirm, cancel, query and transactions. In memory: it is for tests of the adapter, not for a shop.
 */

import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

export type TossStatus = "READY" | "IN_PROGRESS" | "DONE" | "CANCELED" | "PARTIAL_CANCELED" | "ABORTED" | "EXPIRED";

interface Cancel {
  readonly transactionKey: string;
  readonly cancelAmount: number;
  readonly cancelReason: string;
  readonly cancelStatus: "DONE";
}

export interface TossSimPayment {
  readonly paymentKey: string;
  readonly orderId: string;
  readonly totalAmount: number;
  readonly currency: string;
  status: TossStatus;
  balanceAmount: number;
  cancels: Cancel[] | null;
}

interface Transaction {
  readonly transactionKey: string;
  readonly paymentKey: string;
  readonly orderId: string;
  readonly status: TossStatus;
  readonly amount: number;
  readonly currency: string;
  /** In Korea's time, as Toss tells it: 2022-06-08T15:40:49+09:00. */
  readonly transactionAt: string;
}

interface Reply {
  readonly status: number;
  readonly body: unknown;
}

/** What becomes of the next POST: 500 before or after it is done, or done and the connection cut. */
export type TossFault = "fail-before" | "fail-after" | "cut-after" | "reject";

const refusal = (status: number, code: string): Reply => ({ status, body: { code, message: `(${code})` } });

export class TossSimulator implements AsyncDisposable {
  readonly url: string;
  readonly faults: TossFault[] = [];
  /** How often each payment was charged: more than once would be this simulator's fault, or ours. */
  readonly transactions: Transaction[] = [];
  readonly #payments = new Map<string, TossSimPayment>();
  readonly #answers = new Map<string, Reply>();
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
    this.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  static async start(secretKey: string): Promise<TossSimulator> {
    const expected = `Basic ${Buffer.from(`${secretKey}:`).toString("base64")}`;
    const server = createServer((request, response) => {
      const answer = request.headers.authorization === expected ? simulator.#answer(request, response) : undefined;
      if (answer === undefined) return tell(response, refusal(401, "UNAUTHORIZED_KEY"));
      answer.catch(() => tell(response, refusal(500, "FAILED_INTERNAL_SYSTEM_PROCESSING")));
    }).listen(0, "127.0.0.1");
    await once(server, "listening");
    const simulator = new TossSimulator(server);
    return simulator;
  }

  /** What the buyer does in the window. The paymentKey goes to the browser; a merchant finds it by the order, too. */
  authenticate(
    order: Pick<TossSimPayment, "orderId" | "totalAmount"> & { readonly currency?: string },
  ): TossSimPayment {
    const payment: TossSimPayment = {
      ...{ currency: "KRW", ...order },
      ...{ paymentKey: `tviva${randomUUID()}`, status: "IN_PROGRESS", balanceAmount: order.totalAmount, cancels: null },
    };
    this.#payments.set(payment.paymentKey, payment);
    return payment;
  }

  /** Ten minutes later: what was not confirmed by then can't be any more. */
  expire(payment: TossSimPayment): void {
    if (payment.status === "IN_PROGRESS") payment.status = "EXPIRED";
  }

  /** Fifteen days later. */
  forgetKeys(): void {
    this.#answers.clear();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, "close");
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? "/", this.url);
    if (request.method === "GET") return tell(response, this.#read(url));
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const fault = this.faults.shift();
    if (fault === "fail-before") return tell(response, refusal(500, "FAILED_INTERNAL_SYSTEM_PROCESSING"));
    const body = JSON.parse(Buffer.concat(chunks).toString("utf8")) as Record<string, unknown>;
    const reply = this.#once(String(request.headers["idempotency-key"] ?? randomUUID()), () =>
      fault === "reject" ? refusal(403, "REJECT_CARD_COMPANY") : this.#write(url.pathname, body),
    );
    if (fault === "cut-after") request.socket.destroy();
    else tell(response, fault === "fail-after" ? refusal(500, "FAILED_INTERNAL_SYSTEM_PROCESSING") : reply);
  }

  #read(url: URL): Reply {
    if (url.pathname === "/v1/transactions") {
      const startDate = url.searchParams.get("startDate") ?? "";
      const own = this.transactions.filter(({ transactionAt }) => transactionAt.slice(0, 19) >= startDate);
      const after = url.searchParams.get("startingAfter");
      const begin = after === null ? 0 : own.findIndex((it) => it.transactionKey === after) + 1;
      const limit = Number(url.searchParams.get("limit") ?? 100);
      return { status: 200, body: own.slice(begin, begin + limit) };
    }
    const [, order, key] = /^\/v1\/payments\/(?:orders\/([^/]+)|([^/]+))$/.exec(url.pathname) ?? [];
    const all = [...this.#payments.values()];
    const payment = order === undefined ? this.#payments.get(key ?? "") : all.findLast((it) => it.orderId === order);
    return payment === undefined ? refusal(404, "NOT_FOUND_PAYMENT") : { status: 200, body: payment };
  }

  #once(key: string, decide: () => Reply): Reply {
    const reply = this.#answers.get(key) ?? decide();
    this.#answers.set(key, { ...reply, body: structuredClone(reply.body) });
    return reply;
  }

  #write(path: string, body: Record<string, unknown>): Reply {
    if (path === "/v1/payments/confirm") return this.#confirm(body);
    const [, key = ""] = /^\/v1\/payments\/([^/]+)\/cancel$/.exec(path) ?? [];
    return this.#cancel(this.#payments.get(key), body);
  }

  #confirm({ paymentKey, orderId, amount }: Record<string, unknown>): Reply {
    const payment = this.#payments.get(String(paymentKey));
    if (payment === undefined || payment.status === "EXPIRED") return refusal(404, "NOT_FOUND_PAYMENT_SESSION");
    if (payment.status !== "IN_PROGRESS") return refusal(400, "ALREADY_PROCESSED_PAYMENT");
    if (payment.orderId !== orderId || payment.totalAmount !== amount) return refusal(400, "INVALID_REQUEST");
    payment.status = "DONE";
    this.#moved(payment, payment.totalAmount);
    return { status: 200, body: payment };
  }

  #cancel(payment: TossSimPayment | undefined, { cancelReason, cancelAmount }: Record<string, unknown>): Reply {
    if (payment === undefined) return refusal(404, "NOT_FOUND_PAYMENT");
    if (typeof cancelReason !== "string" || cancelReason.length > 200) return refusal(400, "INVALID_REQUEST");
    if (payment.status === "CANCELED") return refusal(400, "ALREADY_CANCELED_PAYMENT");
    if (payment.status !== "DONE" && payment.status !== "PARTIAL_CANCELED")
      return refusal(403, "NOT_CANCELABLE_PAYMENT");
    const amount = cancelAmount === undefined ? payment.balanceAmount : Number(cancelAmount);
    if (!(amount > 0) || amount > payment.balanceAmount) return refusal(403, "NOT_CANCELABLE_AMOUNT");
    payment.balanceAmount -= amount;
    payment.status = payment.balanceAmount === 0 ? "CANCELED" : "PARTIAL_CANCELED";
    const transactionKey = this.#moved(payment, amount);
    const cancel: Cancel = { transactionKey, cancelAmount: amount, cancelReason, cancelStatus: "DONE" };
    payment.cancels = [...(payment.cancels ?? []), cancel];
    return { status: 200, body: payment };
  }

  #moved({ paymentKey, orderId, status, currency }: TossSimPayment, amount: number): string {
    const transactionKey = randomUUID();
    const transactionAt = `${new Date(Date.now() + 9 * 3_600_000).toISOString().slice(0, 19)}+09:00`;
    this.transactions.push({ transactionKey, paymentKey, orderId, status, amount, currency, transactionAt });
    return transactionKey;
  }
}

function tell(response: ServerResponse, { status, body }: Reply): void {
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
}
