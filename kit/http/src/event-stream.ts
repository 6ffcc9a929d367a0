import type { ServerResponse } from "node:http";
import type { FastifyReply } from "fastify";
import { httpErrors } from "./errors.ts";
import { problem } from "./problem.ts";

/** One server-sent event. */
export interface ServerSentEvent {
  /** What a client that comes back sends as Last-Event-ID. */
  readonly id?: string;
  readonly event?: string;
  /** Sent as JSON. */
  readonly data: unknown;
}

/** The streams that a server has open, so that it can bound and end them. */
export interface OpenStreams {
  readonly maximum: number;
  readonly ends: Set<() => void>;
}

type Source = AsyncIterable<ServerSentEvent> | ((signal: AbortSignal) => AsyncIterable<ServerSentEvent>);

// Half of the shortest idle timeout that proxies in front of us commonly have (30 s).
const heartbeatMs = 15_000;

/**
 * Answers with server-sent events until `source` ends, the client leaves or the server stops. Returns at once; the stream
 * takes no place among the requests in flight. A source given as a function gets a signal that aborts at the end, for
 * whatever it waits for.
 *
 * @throws {ProblemError} 503 when the server has as many streams open as it bears.
 */
export function sendEvents(reply: FastifyReply, source: Source): void {
  const { ends, maximum } = reply.server.openStreams;
  if (ends.size >= maximum) throw problem(503, httpErrors.OVERLOADED, { retryAfterSeconds: 5 });
  const ended = new AbortController();
  const end = () => ended.abort();
  ends.add(end);
  reply.hijack();
  reply.raw.once("close", end);
  reply.raw.writeHead(200, {
    "content-type": "text/event-stream",
    "cache-control": "no-store",
    "x-accel-buffering": "no",
  });
  reply.raw.flushHeaders();
  const events = typeof source === "function" ? source(ended.signal) : source;
  // Whoever asks for the head alone has it now.
  if (reply.request.method === "HEAD") ended.abort();
  pump(events, reply.raw, ended.signal)
    .catch((error) => reply.log.error({ err: error }, "event stream failed"))
    .finally(() => {
      ends.delete(end);
      end();
      reply.raw.end();
    });
}

async function pump(
  events: AsyncIterable<ServerSentEvent>,
  response: ServerResponse,
  signal: AbortSignal,
): Promise<void> {
  const heartbeat = setInterval(() => response.write(": still here\n\n"), heartbeatMs);
  const iterator = events[Symbol.asyncIterator]();
  const aborted = new Promise<undefined>((resolve) => {
    signal.addEventListener("abort", () => resolve(undefined), { once: true });
  });
  try {
    for (;;) {
      const next = await Promise.race([iterator.next(), aborted]);
      if (next === undefined || next.done || signal.aborted) return;
      if (!response.write(frame(next.value))) await Promise.race([drained(response), aborted]);
    }
  } finally {
    clearInterval(heartbeat);
    // Not awaited: a generator that waits for something answers only when that comes.
    void iterator.return?.();
  }
}

const drained = (response: ServerResponse) => new Promise<void>((resolve) => response.once("drain", () => resolve()));

function frame({ id, event, data }: ServerSentEvent): string {
  // JSON has no raw line breaks, so the data is one line; ids and names are ours.
  const lines = [
    id !== undefined && `id: ${id}`,
    event !== undefined && `event: ${event}`,
    `data: ${JSON.stringify(data)}`,
  ];
  return `${lines.filter(Boolean).join("\n")}\n\n`;
}
