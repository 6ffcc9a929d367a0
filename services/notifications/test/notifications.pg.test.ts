import { orderConfirmed } from "@onsale/contracts/orders";
import { createHttpServer, createTokenSigner, createTokenVerifier, newTokenKey } from "@onsale/http";
import { fact, publish, startFeeds } from "@onsale/messaging";
import { type Database, instant, integer, nullable, sql, text, uuid } from "@onsale/postgres";
import { ids, silentLogger } from "@onsale/runtime";
import { deliver, eventOf, everyCrashPoint, testDatabase, testIds, waitFor } from "@onsale/testing";
import { expect, onTestFinished, test } from "vitest";
import { consumers } from "../src/consumers.ts";
import { type MessageSender, notifications } from "../src/index.ts";
import { httpSender } from "../src/sender.ts";
import { type Receiver, startReceiver } from "./receiver.ts";

const content = { services: [notifications] };
const tellOrderConfirmed = consumers.find(({ name }) => name === "notifications.tell-order-confirmed");
if (!tellOrderConfirmed) throw new Error("The consumer has another name.");
const orderId = (number: number): string => `0192f0c1-0000-7000-8000-${number.toString(16).padStart(12, "0")}`;

async function openNotifications(): Promise<Database> {
  const server = await testDatabase(content);
  onTestFinished(() => server.close());
  return server.open("notifications");
}

/** Feeds the consumer from this very database's outbox, as the composed server does from that of orders. */
function listen(database: Database, sender: MessageSender, retry = { attempts: 3, firstDelayMs: 20 }): void {
  const ports = { ids, sender, clock: { now: () => "" } };
  const feeds = startFeeds({
    service: "notifications",
    database,
    consumers,
    ports,
    sourceOf: () => "notifications",
    retry,
  });
  onTestFinished(async () => void (await feeds.drain()));
}

async function confirm(database: Database, ...numbers: readonly number[]): Promise<void> {
  const facts = numbers.map((number) =>
    fact(orderConfirmed, {
      data: { ...orderConfirmed.sample, orderId: orderId(number) },
      sequence: 1,
      cause: { correlationId: `order ${number}` },
    }),
  );
  await database.transaction((tx) => publish(tx, facts));
}

const messagesSql = sql("test.messages", {
  takes: [],
  gives: { id: uuid, orderId: uuid, status: text, attempts: integer, channel: text, sentAt: nullable(instant) },
})`
  select id, order_id as "orderId", status, attempts, channel, sent_at as "sentAt"
  from notifications.message order by order_id`;

const messagesIn = (database: Database) => database.query(messagesSql, []);

const allSent = (database: Database, count: number) =>
  waitFor(
    async () => {
      const messages = await messagesIn(database);
      return messages.length === count && messages.every(({ status }) => status === "sent") && messages;
    },
    { what: `${count} messages, all sent` },
  );

const orderOf = (body: unknown): string => /order (\S+) is/i.exec((body as { text: string }).text)?.[1] ?? "";
const hookOf = (receiver: Receiver, timeoutMs?: number): MessageSender =>
  httpSender({ url: receiver.url, ...(timeoutMs !== undefined && { timeoutMs }) });

test("a hundred confirmed orders are a hundred messages, each with the id that is stored", async () => {
  const database = await openNotifications();
  await using receiver = await startReceiver();
  listen(database, hookOf(receiver));
  const numbers = Array.from({ length: 100 }, (_, index) => index);
  await confirm(database, ...numbers);
  const messages = await allSent(database, 100);
  const told = new Map(receiver.received.map(({ headers, body }) => [orderOf(body), headers["webhook-id"]]));
  expect(receiver.received).toHaveLength(100);
  for (const { orderId, id, attempts, channel } of messages) {
    expect({ told: told.get(orderId), attempts, channel }).toEqual({ told: id, attempts: 1, channel: "chat" });
  }
});

test("a receiver that fails is tried again with the same id, and holds up no other order", async () => {
  const database = await openNotifications();
  await using receiver = await startReceiver();
  const failures = new Map<string, number>();
  receiver.answerWith((response) => {
    const order = orderOf(receiver.received.at(-1)?.body);
    const before = failures.get(order) ?? 0;
    failures.set(order, before + 1);
    response.writeHead(order === orderId(1) && before < 2 ? 503 : 200).end();
  });
  listen(database, hookOf(receiver));
  await confirm(database, 1, 2);
  const [first, second] = await allSent(database, 2);
  expect([first?.attempts, second?.attempts]).toEqual([3, 1]);
  const ofFirst = receiver.received.filter(({ body }) => orderOf(body) === orderId(1));
  expect(new Set(ofFirst.map(({ headers }) => headers["webhook-id"]))).toEqual(new Set([first?.id]));
});

test("a receiver that hangs is given up and tried again", async () => {
  const database = await openNotifications();
  await using receiver = await startReceiver();
  receiver.answerWith((response, nth) => {
    if (nth > 1) response.end();
  });
  // Long enough that the attempt which is answered gets its answer in time on a busy machine.
  listen(database, hookOf(receiver, 500));
  await confirm(database, 1);
  expect(await allSent(database, 1)).toMatchObject([{ attempts: 2 }]);
});

test("the same event twice is one message, sent once", async () => {
  const database = await openNotifications();
  await using receiver = await startReceiver();
  const ports = { ids: testIds(), sender: hookOf(receiver) };
  const events = [eventOf(orderConfirmed, { orderId: orderId(1) })];
  await deliver(database, tellOrderConfirmed, events, ports);
  await deliver(database, tellOrderConfirmed, events, ports);
  expect(receiver.received).toHaveLength(1);
  expect(await messagesIn(database)).toMatchObject([{ orderId: orderId(1), status: "sent", attempts: 1 }]);
});

test("wherever the program dies, the redelivery ends with one message, told under one id", async () => {
  const told: string[] = [];
  await everyCrashPoint({
    content,
    schema: "notifications",
    deliver: async (database, step) => {
      const send = async ({ id }: { id: string }) => void (await step("the call", async () => told.push(id)));
      const ports = { ids: testIds(), sender: { channel: "chat", send } };
      await deliver(database, tellOrderConfirmed, [eventOf(orderConfirmed, { orderId: orderId(1) })], ports);
    },
    outcome: async (database) =>
      (await messagesIn(database)).map(({ id, orderId, status }) => ({ id, orderId, status })),
  });
  expect(new Set(told).size).toBe(1);
});

test("operators see the messages, newest first and page by page, and nobody else does", async () => {
  const database = await openNotifications();
  const realm = { issuer: "onsale", audience: "onsale" };
  const tokens = await createTokenSigner({ privateKey: newTokenKey(), ...realm });
  const http = await createHttpServer({
    name: "notifications",
    version: "0",
    tokens: createTokenVerifier({ publicKeys: tokens.publicKeys, ...realm }),
    logger: silentLogger(),
  });
  onTestFinished(() => http.close());
  const sender = { channel: "local", send: async () => undefined };
  const ports = { ids: testIds(), sender, clock: { now: () => "" } };
  notifications.routes(http, { database, ports, feeds: { passed: async () => true } });
  const events = Array.from({ length: 5 }, (_, number) => eventOf(orderConfirmed, { orderId: orderId(number) }));
  await deliver(database, tellOrderConfirmed, events, ports);

  const tokenOf = (role: "operator" | "customer") => tokens.sign({ id: orderId(99), role }, 60);
  const get = async (query: string, role: "operator" | "customer" = "operator") => {
    const headers = { authorization: `Bearer ${await tokenOf(role)}` };
    return await http.inject({ url: `/v1/admin/messages${query}`, headers });
  };
  const first = (await get("?limit=3")).json();
  const second = (await get(`?limit=3&after=${first.next}`)).json();
  const seen = [...first.messages, ...second.messages];
  expect(seen.map(({ messageId }) => messageId)).toEqual(
    events
      .map(({ id }) => id)
      .toSorted()
      .reverse(),
  );
  expect(second.next).toBeNull();
  expect((await get(`?orderId=${orderId(3)}`)).json().messages).toMatchObject([
    {
      orderId: orderId(3),
      status: "sent",
      channel: "local",
      text: `Order ${orderId(3)} is confirmed: GBP 15.30, 1 line.`,
    },
  ]);
  expect((await get("", "customer")).statusCode).toBe(403);
  expect((await get("?limit=0")).statusCode).toBe(400);
});
