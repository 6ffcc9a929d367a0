import { timingSafeEqual } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { Type } from "typebox";
import { Compile } from "typebox/compile";
import type { FollowUpRequest, Outcome } from "./books.ts";
import { view } from "./books.ts";
import { faultKinds } from "./faults.ts";
import type { Provider } from "./provider.ts";

export interface ServerOptions {
  readonly provider: Provider;
  /** What a merchant's `Authorization: Bearer` must carry. */
  readonly apiSecret: string;
  /** Milliseconds that every call about money takes before it is looked at: a network and a bank. */
  readonly latencyMs: number;
  /** Told by `GET /health`, so that a process can be recognised as the one that wrote its state file. */
  readonly nonce: string;
  readonly port: number;
}

export interface ListeningServer {
  readonly port: number;
  /** Takes no new calls, answers those under way, and ends. */
  close(): Promise<void>;
}

interface Reply {
  readonly status: number;
  readonly body: object;
}

const failure: Reply = {
  status: 500,
  body: { error: { code: "internal_error", message: "Something went wrong." } },
};
const maximumBodyBytes = 16 * 1024;
// Long enough that a merchant's idle connection is closed by the merchant, not under its next call.
const keepAliveMs = 75_000;

// Plain node:http: an empty POST cost 63 to 74 microseconds of processor against 73 to 98 with Fastify 5 (measured), and
// cutting a connection after the charge needs the socket anyway.
export async function listen(options: ServerOptions): Promise<ListeningServer> {
  const calls = new Calls(options);
  const server = createServer({ keepAliveTimeout: keepAliveMs, requestTimeout: 30_000 }, (request, response) => {
    calls.answer(request, response).catch((error) => {
      process.stderr.write(`${error instanceof Error ? error.stack : error}\n`);
      if (!response.headersSent)
        send(response, problem(500, "internal_error", "The call failed for a reason of our own."));
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(options.port, "127.0.0.1", 4_096, resolve);
  });
  return { port: (server.address() as AddressInfo).port, close: () => drain(server) };
}

function drain(server: Server): Promise<void> {
  return new Promise((resolve) => {
    // A connection that has answered its last call stays open for the next; it is closed once it is seen idle.
    const sweep = setInterval(() => server.closeIdleConnections(), 20);
    // A caller that keeps a connection busy can't hold the end up for longer than this.
    const force = setTimeout(() => server.closeAllConnections(), 5_000);
    server.close(() => {
      clearInterval(sweep);
      clearTimeout(force);
      resolve();
    });
  });
}

const id = Type.String({ minLength: 1, maxLength: 255, pattern: "^[\\x21-\\x7e]+$" });
const amountMinor = Type.Integer({ minimum: 1, maximum: 1_000_000_000_000 });
const closed = { additionalProperties: false };
const authoriseBody = Compile(
  Type.Object(
    {
      amountMinor,
      currency: Type.String({ pattern: "^[A-Z]{3}$" }),
      reference: id,
      card: id,
      webhookUrl: Type.Optional(Type.String({ pattern: "^https?://", maxLength: 2_000 })),
    },
    closed,
  ),
);
const refundBody = Compile(Type.Object({ amountMinor }, closed));
const emptyBody = Compile(Type.Object({}, closed));
const share = Type.Number({ minimum: 0, maximum: 1 });
const milliseconds = Type.Integer({ minimum: 0, maximum: 600_000 });
const faultsBody = Compile(
  Type.Object(
    {
      seed: Type.Integer(),
      shares: Type.Object(Object.fromEntries(faultKinds.map((kind) => [kind, Type.Optional(share)])), closed),
      slowMs: Type.Optional(milliseconds),
      lateMs: Type.Optional(milliseconds),
    },
    closed,
  ),
);

const followUps = { capture: "capture", cancel: "cancel", refunds: "refund" } as const;
const followUpPath = /^\/v1\/payments\/(pay_[0-9a-f]{32})\/(capture|cancel|refunds)$/;

/** Answers the calls of the merchant and of the person who switches faults. */
class Calls {
  readonly #options: ServerOptions;
  readonly #provider: Provider;
  readonly #authorization: Buffer;
  /** How often a key was struck by a fault: the next try of the same call is another throw of the dice. */
  readonly #struck = new Map<string, number>();

  constructor(options: ServerOptions) {
    this.#options = options;
    this.#provider = options.provider;
    this.#authorization = Buffer.from(`Bearer ${options.apiSecret}`);
  }

  async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = request.url ?? "/";
    if (request.method === "GET" && url === "/health")
      return send(response, { status: 200, body: { nonce: this.#options.nonce } });
    if (!this.#isMerchant(request))
      return send(response, problem(401, "unauthorized", "The secret is missing or wrong."));
    if (request.method === "POST" && url.startsWith("/v1/payments")) return await this.#move(request, response, url);
    if (request.method === "GET" && url.startsWith("/v1/payments?")) return await this.#query(request, response, url);
    if (request.method === "GET" && url.startsWith("/v1/statement?"))
      return await this.#statement(request, response, url);
    if (request.method === "GET" && url === "/v1/ledger") return await this.#ledger(response);
    if (url === "/admin/faults") return await this.#adminFaults(request, response);
    send(response, problem(404, "not_found", "There is nothing here."));
  }

  #isMerchant(request: IncomingMessage): boolean {
    const given = Buffer.from(request.headers.authorization ?? "");
    return given.length === this.#authorization.length && timingSafeEqual(given, this.#authorization);
  }

  /** Everything that moves money, with the faults around it. */
  async #move(request: IncomingMessage, response: ServerResponse, url: string): Promise<void> {
    const body = await readJson(request);
    if ("status" in body) return send(response, body);
    const key = request.headers["idempotency-key"];
    if (typeof key !== "string" || key.length === 0 || key.length > 255) {
      return send(response, problem(400, "key_missing", "Idempotency-Key must have 1 to 255 characters."));
    }
    const { faults } = this.#provider;
    if (this.#strikes("down", key)) return void request.socket.destroy();
    await sleep(this.#options.latencyMs + (this.#strikes("slow", key) ? faults.settings.slowMs : 0));
    const reply = this.#strikes("failBefore", key) ? failure : this.#decide(url, key, body.json);
    const failsAfter = reply !== failure && this.#strikes("failAfter", key);
    const isCut = reply !== failure && !failsAfter && this.#strikes("chargedThenTimeout", key);
    await this.#provider.durable();
    if (isCut) request.socket.destroy();
    else send(response, failsAfter ? failure : reply);
  }

  #strikes(kind: "down" | "slow" | "failBefore" | "failAfter" | "chargedThenTimeout", key: string): boolean {
    const before = this.#struck.get(key) ?? 0;
    if (!this.#provider.faults.strikes(kind, `${key}/${before}`)) return false;
    this.#struck.set(key, before + 1);
    return true;
  }

  #decide(url: string, key: string, body: unknown): Reply {
    if (url === "/v1/payments") return this.#authorise(key, body);
    const [, paymentId, verb] = followUpPath.exec(url) ?? [];
    if (paymentId === undefined || verb === undefined) return problem(404, "not_found", "There is nothing here.");
    return this.#follow(followUps[verb as keyof typeof followUps], paymentId, key, body);
  }

  #authorise(key: string, body: unknown): Reply {
    if (!authoriseBody.Check(body)) return malformed(authoriseBody.Errors(body));
    const { webhookUrl, ...wish } = body;
    if (webhookUrl !== undefined) this.#provider.sendWebhooksTo(webhookUrl);
    return toReply(this.#provider.authorise({ key, ...wish }), 402);
  }

  #follow(kind: FollowUpRequest["kind"], paymentId: string, key: string, body: unknown): Reply {
    if (kind !== "refund") {
      if (!emptyBody.Check(body)) return malformed(emptyBody.Errors(body));
      return toReply(this.#provider.follow({ kind, key, id: paymentId }), 409);
    }
    if (!refundBody.Check(body)) return malformed(refundBody.Errors(body));
    return toReply(this.#provider.follow({ kind, key, id: paymentId, amountMinor: body.amountMinor }), 409);
  }

  async #query(request: IncomingMessage, response: ServerResponse, url: string): Promise<void> {
    if (this.#strikes("down", url)) return void request.socket.destroy();
    const wish = new URL(url, "http://provider").searchParams;
    const key = wish.get("key");
    const reference = wish.get("reference");
    if ((key === null) === (reference === null))
      return send(response, problem(400, "malformed", "Ask for a key or for a reference."));
    await sleep(this.#options.latencyMs);
    const payments = key !== null ? this.#provider.books.byKey(key) : this.#provider.books.byReference(reference ?? "");
    await this.#provider.durable();
    send(response, { status: 200, body: { payments } });
  }

  /** What was done, a page at a time: what a merchant compares its own books with. */
  async #statement(request: IncomingMessage, response: ServerResponse, url: string): Promise<void> {
    if (this.#strikes("down", url)) return void request.socket.destroy();
    const wish = new URL(url, "http://provider").searchParams;
    const [after, limit] = [Number(wish.get("after") ?? 0), Number(wish.get("limit") ?? 100)];
    const since = Date.parse(wish.get("since") ?? "1970-01-01T00:00:00.000Z");
    if (!Number.isSafeInteger(after) || after < 0 || !Number.isInteger(limit) || limit < 1 || limit > 1_000)
      return send(response, problem(400, "malformed", "after is where a page ended; limit is from 1 to 1000."));
    if (Number.isNaN(since)) return send(response, problem(400, "malformed", "since is a moment, RFC 3339."));
    await sleep(this.#options.latencyMs);
    const page = this.#provider.books.statement({ since, after, limit });
    await this.#provider.durable();
    send(response, { status: 200, body: page });
  }

  /** Every payment with its movements, one JSON a line, and a last line that says how many there were. */
  async #ledger(response: ServerResponse): Promise<void> {
    await this.#provider.durable();
    response.writeHead(200, { "content-type": "application/x-ndjson" });
    let payments = 0;
    let chunk = "";
    for (const payment of this.#provider.books.all()) {
      payments++;
      chunk += `${JSON.stringify(payment)}\n`;
      if (chunk.length < 64 * 1024) continue;
      // Awaited at each chunk, so that a long ledger neither fills the memory nor holds up the calls beside it.
      await written(response, chunk);
      chunk = "";
    }
    response.end(`${chunk}${JSON.stringify({ type: "end", payments })}\n`);
  }

  async #adminFaults(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { faults } = this.#provider;
    if (request.method === "GET") {
      await this.#provider.durable();
      return send(response, { status: 200, body: faults.report() });
    }
    if (request.method !== "PUT") return send(response, problem(405, "method_not_allowed", "GET or PUT."));
    const body = await readJson(request);
    if ("status" in body) return send(response, body);
    if (!faultsBody.Check(body.json)) return send(response, malformed(faultsBody.Errors(body.json)));
    this.#struck.clear();
    this.#provider.setFaults({ ...faults.settings, ...body.json });
    await this.#provider.durable();
    send(response, { status: 200, body: faults.report() });
  }
}

function toReply(outcome: Outcome, refusedStatus: 402 | 409): Reply {
  switch (outcome.kind) {
    case "answered": {
      const payment = view(outcome.payment, outcome.number);
      const { refused } = payment.movement;
      return refused === undefined
        ? { status: 200, body: payment }
        : { status: refusedStatus, body: { error: { code: refused }, payment } };
    }
    case "key-reused":
      return problem(422, "key_reused", "This Idempotency-Key was used for another call.");
    case "unknown-payment":
      return problem(404, "unknown_payment", "There is no such payment.");
    default:
      return outcome satisfies never;
  }
}

const problem = (status: number, code: string, message: string): Reply => ({
  status,
  body: { error: { code, message } },
});

function malformed(errors: readonly { instancePath: string; message: string }[]): Reply {
  const [first] = errors;
  return problem(
    400,
    "malformed",
    first ? `${first.instancePath || "The body"} ${first.message}.` : "The body is malformed.",
  );
}

function send(response: ServerResponse, { status, body }: Reply): void {
  const text = JSON.stringify(body);
  // Everything that is ever told was checked to be ASCII, or is written here.
  response.writeHead(status, { "content-type": "application/json", "content-length": text.length });
  response.end(text, "latin1");
}

async function written(response: ServerResponse, chunk: string): Promise<void> {
  if (response.write(chunk)) return await new Promise((resolve) => setImmediate(resolve));
  if (response.destroyed) return;
  await new Promise<void>((resolve) => {
    const go = () => {
      response.off("drain", go).off("close", go);
      resolve();
    };
    response.on("drain", go).on("close", go);
  });
}

/** The body as JSON, an empty one as `{}`, or what to answer instead. */
function readJson(request: IncomingMessage): Promise<{ json: unknown } | Reply> {
  const { promise, resolve } = Promise.withResolvers<{ json: unknown } | Reply>();
  const chunks: Buffer[] = [];
  let bytes = 0;
  request.on("data", (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes <= maximumBodyBytes) chunks.push(chunk);
  });
  request.on("end", () =>
    resolve(
      bytes > maximumBodyBytes ? problem(413, "too_large", "The body is too large.") : parsed(Buffer.concat(chunks)),
    ),
  );
  request.on("error", () => resolve(problem(400, "cut_short", "The body was cut short.")));
  return promise;
}

function parsed(body: Buffer): { json: unknown } | Reply {
  if (body.length === 0) return { json: {} };
  try {
    return { json: JSON.parse(body.toString("utf8")) };
  } catch {
    return problem(400, "malformed", "The body is not JSON.");
  }
}
