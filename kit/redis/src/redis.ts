import { setTimeout as sleep } from "node:timers/promises";
import { createClient, ErrorReply, type RedisClientType } from "@redis/client";
import { asUnavailable, RedisUnavailableError } from "./errors.ts";
import type { RedisScript } from "./script.ts";

export interface RedisOptions {
  /** `redis://user:password@host:port/database`, or `rediss://` over TLS. */
  readonly url: string;
  /** Put before every key and channel, so that shops and tests can share a server. */
  readonly prefix: string;
  /** Milliseconds within which an answer comes, or the command has failed. Default 1,000. */
  readonly answerMs?: number;
  /** How the connection is called in `CLIENT LIST`. */
  readonly applicationName: string;
}

export interface Subscription extends AsyncDisposable {
  close(): Promise<void>;
}

/**
 * One connection to Redis, made when it is opened and made again whenever it is lost. Nothing waits for a lost one: whatever
 * is asked meanwhile fails at once with `RedisUnavailableError`.
 */
export interface Redis extends AsyncDisposable {
  /** Runs a script on these keys (the prefix is put before them) with these arguments. */
  run<Reply>(
    script: RedisScript<Reply>,
    on: { readonly keys: readonly string[]; readonly args: readonly (string | number)[] },
  ): Promise<Reply>;
  /** Sends a command as it stands, without the prefix. */
  send(...words: readonly string[]): Promise<unknown>;
  /**
   * Calls `hear` with every message of a channel (the prefix is put before it) from now on, also over later connections.
   * What is sent while the connection is lost is never heard.
   */
  subscribe(channel: string, hear: (message: string) => void): Promise<Subscription>;
  /** Calls `react` each time that a connection is ready again: what was heard by subscription may have gaps. */
  onReconnect(react: () => void): void;
  close(): Promise<void>;
}

const defaultAnswerMs = 1_000;

// A server that accepts no connection within this time is as good as down.
const connectMs = 2_000;

// An idle connection whose other side froze or vanished is found by a ping that nobody answers, and made anew.
const pingEveryMs = 1_000;
const silenceMs = 3_000;

// The pause before each further attempt to connect: doubled from the first to the second, half of it by chance.
const [firstPauseMs, longestPauseMs] = [20, 1_000];

// Commands that wait to be written. A Redis that lets so many pile up does not answer in time anyway.
const mostWaiting = 10_000;

/** Opens a connection; the first commands wait for it, within their own bound. */
export function openRedis({ url, prefix, answerMs = defaultAnswerMs, applicationName }: RedisOptions): Redis {
  const client = createClient({
    url,
    name: applicationName.replaceAll(" ", "-"),
    disableOfflineQueue: true,
    commandsQueueMaxLength: mostWaiting,
    pingInterval: pingEveryMs,
    socket: { connectTimeout: connectMs, socketTimeout: silenceMs, reconnectStrategy: pauseBefore },
  });
  return new ConnectedRedis(client, prefix, answerMs);
}

function pauseBefore(attempts: number): number {
  const pauseMs = Math.min(firstPauseMs * 2 ** Math.min(attempts, 10), longestPauseMs);
  return pauseMs / 2 + (Math.random() * pauseMs) / 2;
}

class ConnectedRedis implements Redis {
  readonly #client: RedisClientType;
  readonly #prefix: string;
  readonly #answerMs: number;
  /** The outcome of the first attempt to connect, good or bad. */
  readonly #firstAttempt: Promise<unknown>;

  constructor(client: RedisClientType, prefix: string, answerMs: number) {
    this.#client = client;
    this.#prefix = prefix;
    this.#answerMs = answerMs;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#firstAttempt = promise;
    // Each failed attempt is told here; without a listener it would end the process.
    client.on("error", () => resolve());
    client.once("ready", resolve);
    client.connect().catch(() => resolve());
  }

  async run<Reply>(
    { text, sha1 }: RedisScript<Reply>,
    { keys, args }: { readonly keys: readonly string[]; readonly args: readonly (string | number)[] },
  ): Promise<Reply> {
    const rest = [String(keys.length), ...keys.map((key) => this.#prefix + key), ...args.map(String)];
    return (await this.#bounded(async () => {
      try {
        return await this.#client.sendCommand(["EVALSHA", sha1, ...rest]);
      } catch (error) {
        if (!(error instanceof ErrorReply && error.message.startsWith("NOSCRIPT"))) throw error;
        return await this.#client.sendCommand(["EVAL", text, ...rest]);
      }
    })) as Reply;
  }

  send(...words: readonly string[]): Promise<unknown> {
    return this.#bounded(() => this.#client.sendCommand(words));
  }

  async subscribe(channel: string, hear: (message: string) => void): Promise<Subscription> {
    const name = this.#prefix + channel;
    await this.#bounded(() => this.#client.subscribe(name, hear));
    // A connection that is lost takes its subscriptions along; there is nothing left to end then.
    const close = () => this.#bounded(() => this.#client.unsubscribe(name, hear)).catch(() => undefined);
    return { close, [Symbol.asyncDispose]: close };
  }

  onReconnect(react: () => void): void {
    this.#client.on("ready", react);
  }

  async close(): Promise<void> {
    if (!this.#client.isOpen) return;
    if (this.#client.isReady) await Promise.race([this.#client.close(), sleep(this.#answerMs)]).catch(() => undefined);
    if (this.#client.isOpen) this.#client.destroy();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** The client's own timeout ends only what was not yet written; a frozen server is given up on here. */
  async #bounded<Result>(work: () => Promise<Result>): Promise<Result> {
    const over = new AbortController();
    const late = sleep(this.#answerMs, undefined, { signal: over.signal }).then(() => {
      throw new RedisUnavailableError(`Redis did not answer within ${this.#answerMs} ms.`);
    });
    const done = this.#firstAttempt.then(work);
    for (const outcome of [late, done]) outcome.catch(() => undefined);
    try {
      return await Promise.race([done, late]);
    } catch (error) {
      throw asUnavailable(error);
    } finally {
      over.abort();
    }
  }
}
