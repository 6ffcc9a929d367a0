import { setTimeout as sleep } from "node:timers/promises";
import { Pool } from "undici";

export interface ShopRequest {
  readonly method: "GET" | "POST" | "PUT";
  /** With the leading slash. */
  readonly path: string;
  readonly accessToken?: string;
  /** The same for every attempt, so that the shop does the work once however often it is asked. */
  readonly idempotencyKey?: string;
  /** Everything that the request sets off carries it. Default: one that the shop makes. */
  readonly correlationId?: string;
  readonly body?: unknown;
}

export interface ShopAnswer {
  readonly status: number;
  readonly body: unknown;
  /** The shop had answered this request before: this time it changed nothing. */
  readonly replayed: boolean;
}

export interface ShopClientOptions {
  /** Scheme, host and port. */
  readonly url: string;
  /** Sockets kept open; requests beyond them wait their turn. */
  readonly connections: number;
  /** Milliseconds from a request's first attempt until it is given up. Default 60,000: a restart fits in, a dead shop doesn't hold a terminal for ever. */
  readonly giveUpAfterMs?: number;
  /** Ends everything under way. */
  readonly signal?: AbortSignal;
}

/** The shop did not answer, or only that it can't now, until the time was up. */
export class ShopUnreachableError extends Error {
  override readonly name = "ShopUnreachableError";
}

/** Milliseconds for one attempt. The shop promises an answer within 2.5 s; whatever takes four times that is lost. */
const attemptTimeoutMs = 10_000;
/** Milliseconds of the longest pause between two attempts, before what the shop itself asks for. */
const longestPauseMs = 2_000;
/** Bytes of the longest answer: far above a page of anything the shop serves. */
const maximumAnswerBytes = 16 * 1024 * 1024;
/** Answers that say "later", whatever their body says. */
const busyStatuses = new Set([429, 502, 503, 504]);

/**
 * Speaks to the shop over sockets that stay open. A request that is lost, or answered with "later" (429, 503, or a
 * problem that calls itself retryable), is sent again under the same key, after what `Retry-After` asks and a random part
 * of a growing pause, so that a crowd that failed together does not come back together.
 */
export class ShopClient {
  readonly #pool: Pool;
  readonly #giveUpAfterMs: number;
  readonly #signal: AbortSignal | undefined;

  constructor({ url, connections, giveUpAfterMs = 60_000, signal }: ShopClientOptions) {
    this.#pool = new Pool(url, {
      connections,
      connect: { timeout: 2_000 },
      headersTimeout: attemptTimeoutMs,
      bodyTimeout: attemptTimeoutMs,
      maxResponseSize: maximumAnswerBytes,
    });
    this.#giveUpAfterMs = giveUpAfterMs;
    this.#signal = signal;
  }

  /** @throws ShopUnreachableError when no attempt got through in time; whatever the request's work is may have been done. */
  async send(request: ShopRequest): Promise<ShopAnswer> {
    const giveUpAt = performance.now() + this.#giveUpAfterMs;
    for (let attempt = 1; ; attempt++) {
      const outcome = await this.#attempt(request);
      if (outcome.kind === "answered") return outcome.answer;
      const pauseMs = outcome.retryAfterMs + Math.random() * Math.min(longestPauseMs, 50 * 2 ** attempt);
      if (performance.now() + pauseMs > giveUpAt) {
        const tries = attempt === 1 ? "once" : `${attempt} times`;
        throw new ShopUnreachableError(`${request.method} ${request.path} was tried ${tries}: ${outcome.why}`, {
          cause: outcome.cause,
        });
      }
      await sleep(pauseMs, undefined, { signal: this.#signal });
    }
  }

  async close(): Promise<void> {
    await (this.#signal?.aborted ? this.#pool.destroy() : this.#pool.close());
  }

  async #attempt(request: ShopRequest): Promise<Attempt> {
    try {
      const { statusCode, headers, body } = await this.#pool.request({
        method: request.method,
        path: request.path,
        headers: headersOf(request),
        ...(request.body !== undefined && { body: JSON.stringify(request.body) }),
        signal: this.#signal ?? null,
      });
      const content = parseBody(await body.text(), headers["content-type"]);
      if (isLater(statusCode, content)) {
        return {
          kind: "later",
          retryAfterMs: retryAfterMs(headers["retry-after"]),
          why: `${statusCode} ${whatIsSaid(content)}`,
          cause: undefined,
        };
      }
      return {
        kind: "answered",
        answer: { status: statusCode, body: content, replayed: headers["idempotency-replayed"] === "true" },
      };
    } catch (error) {
      this.#signal?.throwIfAborted();
      return {
        kind: "later",
        retryAfterMs: 0,
        why: error instanceof Error ? error.message : String(error),
        cause: error,
      };
    }
  }
}

type Attempt =
  | { readonly kind: "answered"; readonly answer: ShopAnswer }
  | { readonly kind: "later"; readonly retryAfterMs: number; readonly why: string; readonly cause: unknown };

function headersOf({ accessToken, idempotencyKey, correlationId, body }: ShopRequest): Record<string, string> {
  return {
    accept: "application/json",
    ...(accessToken !== undefined && { authorization: `Bearer ${accessToken}` }),
    ...(idempotencyKey !== undefined && { "idempotency-key": idempotencyKey }),
    ...(correlationId !== undefined && { "x-correlation-id": correlationId }),
    ...(body !== undefined && { "content-type": "application/json" }),
  };
}

function parseBody(text: string, contentType: string | string[] | undefined): unknown {
  if (text === "" || !String(contentType).includes("json")) return text;
  return JSON.parse(text);
}

function isLater(status: number, body: unknown): boolean {
  if (busyStatuses.has(status)) return true;
  return status >= 400 && typeof body === "object" && body !== null && "retryable" in body && body.retryable === true;
}

/** Seconds or an HTTP date; nothing when it is neither. An hour at most, so that a wild value can't hold the caller. */
function retryAfterMs(header: string | string[] | undefined): number {
  if (typeof header !== "string") return 0;
  const ms = /^\d+$/.test(header) ? Number(header) * 1_000 : Date.parse(header) - Date.now();
  return Number.isFinite(ms) ? Math.min(Math.max(ms, 0), 3_600_000) : 0;
}

/** The human part of a problem, or the beginning of whatever else was answered. */
export function whatIsSaid(body: unknown): string {
  if (typeof body !== "object" || body === null) return String(body).slice(0, 200);
  const { code, detail, title } = body as { code?: unknown; detail?: unknown; title?: unknown };
  return [code, detail ?? title].filter((part) => typeof part === "string").join(": ");
}
