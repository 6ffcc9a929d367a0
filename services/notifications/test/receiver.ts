import { once } from "node:events";
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

export interface Received {
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: unknown;
  /** The body as it came. */
  readonly raw: string;
}

/** A chat as messages meet it: an HTTP server that writes down what comes and answers as it is told. */
export interface Receiver extends AsyncDisposable {
  readonly url: string;
  readonly received: readonly Received[];
  /** Resolves once `count` requests have come. */
  gets(count: number): Promise<void>;
  /** How the next requests are answered: a status, or never. */
  answerWith(answer: (response: ServerResponse, nth: number) => void): void;
}

export async function startReceiver(): Promise<Receiver> {
  const received: Received[] = [];
  const waiting: { count: number; resolve: () => void }[] = [];
  let answer = (response: ServerResponse, _nth: number): void => void response.end("ok");
  const server = createServer(async (request, response) => {
    const raw = await textOf(request);
    received.push({ path: request.url ?? "", headers: request.headers, body: JSON.parse(raw), raw });
    for (const { count, resolve } of waiting) if (received.length >= count) resolve();
    answer(response, received.length);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`,
    received,
    gets: (count) =>
      received.length >= count ? Promise.resolve() : new Promise((resolve) => waiting.push({ count, resolve })),
    answerWith: (next) => {
      answer = next;
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

async function textOf(request: IncomingMessage): Promise<string> {
  let text = "";
  for await (const chunk of request.setEncoding("utf8")) text += chunk;
  return text;
}
