/** The service on a database of its own, with its jobs running and its routes served, as a composed server has them. */

import {
  createHttpServer,
  createTokenSigner,
  createTokenVerifier,
  type HttpServer,
  newTokenKey,
  type Role,
} from "@onsale/http";
import { startFeeds } from "@onsale/messaging";
import { type Database, integer, nullable, sql, text, uuid } from "@onsale/postgres";
import { ids, type RunningWork, silentLogger, startRecurringWork } from "@onsale/runtime";
import { testDatabase, waitFor } from "@onsale/testing";
import { onTestFinished } from "vitest";
import type { DeliveryRule } from "../src/delivery.ts";
import { type NotificationPorts, notifications, type OutgoingMessage, type Senders } from "../src/index.ts";
import { jobs } from "../src/jobs.ts";

export const content = { services: [notifications] };

/** Tries in milliseconds what production tries in hours. */
export const hasty: DeliveryRule = {
  attempts: 3,
  firstWaitMs: 10,
  longestWaitMs: 20,
  lineFirstMs: 10,
  lineLongestMs: 20,
};

export const portsWith = (senders: Senders, delivery: DeliveryRule = hasty): NotificationPorts => ({
  ids,
  senders,
  delivery,
  clock: { now: () => new Date().toISOString() },
});

export async function openNotifications(): Promise<Database> {
  const server = await testDatabase(content);
  onTestFinished(() => server.close());
  return server.open("notifications");
}

/** Feeds the consumers from this very database's outbox, as the composed server does from that of orders. */
export function listen(database: Database, ports: NotificationPorts): void {
  const { consumers } = notifications;
  const feeds = startFeeds({ service: "notifications", database, consumers, ports, sourceOf: () => "notifications" });
  onTestFinished(async () => void (await feeds.drain()));
}

/** Runs the jobs that send, in quick turns. Several such are several processes. */
export function startSending(database: Database, ports: NotificationPorts): RunningWork {
  const context = { database, ports, feeds: { passed: async () => true } };
  const work = startRecurringWork(
    jobs.map(({ name, run }) => ({ name, everyMs: 5, run: (signal) => run(context, signal) })),
  );
  onTestFinished(() => work.drain());
  return work;
}

/** A sender in this process that writes down what it is given; `take` may refuse. */
export function recorder(take: (message: OutgoingMessage, nth: number) => void | Promise<void> = () => undefined) {
  const messages: OutgoingMessage[] = [];
  const send = async (message: OutgoingMessage) => {
    messages.push(message);
    await take(message, messages.length);
  };
  return { send, messages };
}

const messagesSql = sql("test.messages", {
  takes: [],
  gives: {
    id: uuid,
    orderId: nullable(uuid),
    recipientId: nullable(uuid),
    kind: text,
    channel: text,
    status: text,
    attempts: integer,
    lastFailure: nullable(text),
  },
})`
  select id, order_id as "orderId", recipient_id as "recipientId", kind, channel, status, attempts,
    last_failure as "lastFailure"
  from notifications.message order by order_id, kind, channel, id`;

export const messagesIn = (database: Database) => database.query(messagesSql, []);

/** Waits until there are so many messages and each is in this status. */
export const allAre = (database: Database, status: string, count: number) =>
  waitFor(
    async () => {
      const messages = await messagesIn(database);
      return messages.length === count && messages.every((message) => message.status === status) && messages;
    },
    { what: `${count} messages, all ${status}` },
  );

export const personId = (number: number): string => `0192f0c1-0000-7000-9000-${number.toString(16).padStart(12, "0")}`;
export const orderId = (number: number): string => `0192f0c1-0000-7000-8000-${number.toString(16).padStart(12, "0")}`;

export interface Api {
  readonly http: HttpServer;
  /** Sends a request as somebody. */
  call(
    who: { id: string; role: Role },
    method: "GET" | "PUT" | "POST" | "DELETE",
    url: string,
    body?: object,
  ): Promise<{ status: number; body: Record<string, never>; headers: Record<string, unknown> }>;
}

export const buyer = (number: number) => ({ id: personId(number), role: "guest" as const });
export const operator = { id: personId(999), role: "operator" as const };

export async function serve(database: Database, ports: NotificationPorts): Promise<Api> {
  const realm = { issuer: "onsale", audience: "onsale" };
  const tokens = await createTokenSigner({ privateKey: newTokenKey(), ...realm });
  const http = await createHttpServer({
    name: "notifications",
    version: "0",
    tokens: createTokenVerifier({ publicKeys: tokens.publicKeys, ...realm }),
    logger: silentLogger(),
  });
  onTestFinished(() => http.close());
  notifications.routes(http, { database, ports, feeds: { passed: async () => true } });
  let keys = 0;
  return {
    http,
    async call(who, method, url, body) {
      const headers = { authorization: `Bearer ${await tokens.sign(who, 60)}`, "idempotency-key": `key-${++keys}` };
      const answer = await http.inject({ method, url, headers, ...(body && { payload: body }) });
      return { status: answer.statusCode, body: answer.body === "" ? {} : answer.json(), headers: answer.headers };
    },
  };
}

/** The code in a message that asks an address. */
export const codeIn = ({ wording }: OutgoingMessage): string => wording.lines[1] ?? "";

/** Chooses to be told, and confirms the address with the code that came. */
export async function optIn(
  api: Api,
  who: { id: string; role: Role },
  mail: ReturnType<typeof recorder>,
  wish: { orders?: string[]; news?: string[]; language?: string; pushToken?: string } = {},
): Promise<void> {
  const email = `${who.id}@example.com`;
  const put = await api.call(who, "PUT", "/v1/notification-settings", {
    ...{ language: "en", email, pushToken: null, orders: ["mail"], news: [] },
    ...wish,
  });
  if (put.status !== 200) throw new Error(JSON.stringify(put.body));
  const asked = await waitFor(() =>
    mail.messages.find((message) => message.to === email && /^[2-9A-Z]{8}$/.test(codeIn(message))),
  );
  const code = codeIn(asked);
  const confirmed = await api.call(who, "POST", "/v1/notification-settings/email-confirmation", { code });
  if (confirmed.status !== 200) throw new Error(JSON.stringify(confirmed.body));
}
