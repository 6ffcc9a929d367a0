import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { Webhook } from "standardwebhooks";
import { CaughtMessages } from "./caught-messages.ts";
import { openMailDoor } from "./mail-door.ts";
import { page } from "./page.ts";

/** A place on this machine where a shop's messages end: a chat's webhook, a mail server and a push gateway that show what came. */
export interface MessageSink {
  /** The page for people; `/messages` has the same as JSON. */
  readonly url: string;
  /** What a shop is told of its channels. */
  readonly channels: {
    readonly chat: { readonly url: string };
    readonly mail: { readonly url: string; readonly from: string };
    readonly push: { readonly url: string; readonly secret: string };
  };
  stop(): Promise<void>;
}

export async function startMessageSink(): Promise<MessageSink> {
  const caught = new CaughtMessages();
  const secret = `whsec_${randomBytes(32).toString("base64")}`;
  const webhook = new Webhook(secret);
  const mail = await openMailDoor(caught);
  const server = createServer((request, response) => {
    answer(caught, webhook, request, response).catch(() => {
      if (!response.headersSent) response.writeHead(400);
      response.end();
    });
  });
  // The user's own machine: nobody else is let in.
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    url,
    channels: {
      chat: { url: `${url}/chat` },
      mail: { url: mail.url, from: "Onsale <shop@onsale.example>" },
      push: { url: `${url}/push`, secret },
    },
    async stop() {
      server.closeAllConnections();
      await Promise.all([new Promise((resolve) => server.close(resolve)), mail.close()]);
    },
  };
}

// What a page shows and a script reads at once.
const shownMessages = 500;

async function answer(
  caught: CaughtMessages,
  webhook: Webhook,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  switch (`${request.method} ${request.url}`) {
    case "GET /":
      response.writeHead(200, { "content-type": "text/html; charset=utf-8" });
      response.end(page(caught.list(shownMessages), caught.size));
      return;
    case "GET /messages":
      response.writeHead(200, { "content-type": "application/json" });
      response.end(JSON.stringify({ total: caught.size, messages: caught.list(shownMessages) }));
      return;
    case "POST /chat": {
      const { text } = JSON.parse(await bodyOf(request)) as { text: string };
      caught.take({ id: idOf(request), channel: "chat", to: undefined, text: String(text) });
      response.writeHead(200).end("ok");
      return;
    }
    case "POST /push": {
      // As a real gateway does: what is not signed by the shop is not taken.
      const pushed = webhook.verify(await bodyOf(request), request.headers as Record<string, string>) as Pushed;
      caught.take({ id: idOf(request), channel: "push", to: pushed.to, text: `${pushed.title}\n${pushed.body}` });
      response.writeHead(204).end();
      return;
    }
    default:
      response.writeHead(404).end();
  }
}

interface Pushed {
  readonly to: string;
  readonly title: string;
  readonly body: string;
}

const idOf = ({ headers }: IncomingMessage): string => String(headers["webhook-id"] ?? "");

// Far above every message of a shop.
const largestBody = 262_144;

async function bodyOf(request: IncomingMessage): Promise<string> {
  let text = "";
  for await (const chunk of request.setEncoding("utf8")) {
    text += chunk;
    if (text.length > largestBody) throw new Error("The body is too large.");
  }
  return text;
}
