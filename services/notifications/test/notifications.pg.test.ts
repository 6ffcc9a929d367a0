import {
  orderCancelled,
  orderConfirmed,
  orderRejected,
  orderReturned,
  orderReturnLapsed,
  orderReturnRefused,
  orderReturnRequested,
} from "@onsale/contracts/orders";
import { fact, publish } from "@onsale/messaging";
import { type Database, integer, sql } from "@onsale/postgres";
import { deliver, eventOf, everyCrashPoint, testIds, waitFor } from "@onsale/testing";
import { describe, expect, test } from "vitest";
import { consumers } from "../src/consumers.ts";
import { sendDue } from "../src/send-messages.ts";
import { NotTakenError } from "../src/sender.ts";
import { chatSender, mailSender } from "../src/senders.ts";
import {
  allAre,
  buyer,
  content,
  hasty,
  listen,
  messagesIn,
  openNotifications,
  operator,
  optIn,
  orderId,
  personId,
  portsWith,
  recorder,
  serve,
  startSending,
} from "./house.ts";
import { startMailServer } from "./mail-server.ts";
import { startReceiver } from "./receiver.ts";

const named = (name: string) => {
  const found = consumers.find((consumer) => consumer.name === `notifications.${name}`);
  if (!found) throw new Error(`There is no consumer ${name}.`);
  return found;
};
const tellShop = named("tell-shop");
const tellBuyer = named("tell-buyer");

const confirmation = (number: number) =>
  fact(orderConfirmed, {
    data: { ...orderConfirmed.sample, orderId: orderId(number), buyerId: personId(number) },
    sequence: 1,
    cause: { correlationId: `order ${number}` },
  });

const confirm = (database: Database, ...numbers: readonly number[]) =>
  database.transaction((tx) => publish(tx, numbers.map(confirmation)));

const orderOf = (body: unknown): string => /Order (\S{36})/.exec((body as { text: string }).text)?.[1] ?? "";

describe("the shop's chat", () => {
  test("a hundred confirmed orders are a hundred messages, each with the id that is stored", async () => {
    const database = await openNotifications();
    await using receiver = await startReceiver();
    const ports = portsWith({ chat: chatSender({ url: receiver.url }) });
    listen(database, ports);
    startSending(database, ports);
    await confirm(database, ...Array.from({ length: 100 }, (_, index) => index));
    const messages = await allAre(database, "sent", 100);
    const told = new Map(receiver.received.map(({ headers, body }) => [orderOf(body), headers["webhook-id"]]));
    expect(receiver.received).toHaveLength(100);
    for (const { orderId, id, attempts, channel } of messages) {
      expect({ told: told.get(orderId ?? ""), attempts, channel }).toEqual({ told: id, attempts: 1, channel: "chat" });
    }
  });

  test("an order that is rolled back is told to nobody", async () => {
    const database = await openNotifications();
    const chat = recorder();
    const ports = portsWith({ chat });
    listen(database, ports);
    startSending(database, ports);
    await expect(
      database.transaction(async (tx) => {
        await publish(tx, [confirmation(1)]);
        throw new Error("rolled back");
      }),
    ).rejects.toThrow("rolled back");
    // What is committed after it has been told: the other would have come before.
    await confirm(database, 2);
    expect(await allAre(database, "sent", 1)).toMatchObject([{ orderId: orderId(2) }]);
    expect(chat.messages).toHaveLength(1);
  });

  test("a shop without a chat keeps its messages", async () => {
    const database = await openNotifications();
    await deliver(database, tellShop, [eventOf(orderConfirmed)], portsWith({}));
    expect(await messagesIn(database)).toMatchObject([{ status: "kept", attempts: 0 }]);
  });

  test("the same order twice is one message, whatever the event's id", async () => {
    const database = await openNotifications();
    const ports = portsWith({ chat: recorder() });
    await deliver(database, tellShop, [eventOf(orderConfirmed, { orderId: orderId(1) })], ports);
    await deliver(database, tellShop, [eventOf(orderConfirmed, { orderId: orderId(1) }, { sequence: 2 })], ports);
    expect(await messagesIn(database)).toHaveLength(1);
  });
});

describe("what is not taken", () => {
  test("is sent again under the same id, and holds up no other", async () => {
    const database = await openNotifications();
    let refusals = 0;
    const chat = recorder(({ wording }) => {
      if (wording.lines.includes(`Order ${orderId(1)}`) && refusals++ < 2)
        throw new NotTakenError("Not this one.", { fault: "message" });
    });
    const ports = portsWith({ chat });
    await deliver(
      database,
      tellShop,
      [1, 2].map((it) => eventOf(orderConfirmed, { orderId: orderId(it) })),
      ports,
    );
    startSending(database, ports);
    const [first, second] = await allAre(database, "sent", 2);
    expect([first?.attempts, second?.attempts]).toEqual([3, 1]);
    expect(chat.messages.filter(({ id }) => id === first?.id)).toHaveLength(3);
  });

  test("too often is dead; an operator sees it and has it sent again, one or all", async () => {
    const database = await openNotifications();
    let isBroken = true;
    const chat = recorder(() => {
      if (isBroken) throw new NotTakenError("The receiver answered 400.", { fault: "message" });
    });
    const ports = portsWith({ chat });
    const api = await serve(database, ports);
    const events = [1, 2, 3].map((it) => eventOf(orderConfirmed, { orderId: orderId(it) }));
    await deliver(database, tellShop, events, ports);
    startSending(database, ports);
    const dead = await allAre(database, "dead", 3);
    expect(dead.map(({ attempts, lastFailure }) => ({ attempts, lastFailure }))).toEqual(
      Array(3).fill({ attempts: hasty.attempts, lastFailure: "The receiver answered 400." }),
    );
    const seen = (await api.call(operator, "GET", "/v1/admin/messages?status=dead")).body;
    expect(seen.messages).toHaveLength(3);
    expect((await api.call(operator, "GET", "/v1/admin/message-channels")).body).toMatchObject({
      channels: [
        { channel: "chat", isConfigured: true, dead: 3, pending: 0 },
        { channel: "mail", isConfigured: false },
        {},
      ],
    });

    isBroken = false;
    const resend = (id: string) => api.call(operator, "POST", `/v1/admin/messages/${id}/resend`);
    expect((await resend(dead[0]?.id ?? "")).status).toBe(202);
    await waitFor(async () => (await messagesIn(database)).filter(({ status }) => status === "sent").length === 1);
    expect(await resend(dead[0]?.id ?? "")).toMatchObject({ status: 409, body: { code: "MESSAGE_NOT_DEAD" } });
    expect(await resend(orderId(77))).toMatchObject({ status: 404, body: { code: "MESSAGE_NOT_FOUND" } });
    const all = await api.call(operator, "POST", "/v1/admin/dead-messages/resend", { channel: "chat" });
    expect(all.body).toEqual({ resent: 2 });
    await allAre(database, "sent", 3);
    expect(new Set(chat.messages.map(({ id }) => id)).size).toBe(3);
  });

  test("a line that is down is left alone: one message looks, the others keep their attempts, and all go when it is back", async () => {
    const database = await openNotifications();
    let isDown = true;
    const chat = recorder(() => {
      if (isDown) throw new NotTakenError("The receiver can't be reached.", { fault: "line" });
    });
    const ports = portsWith({ chat }, { ...hasty, attempts: 1_000 });
    const events = Array.from({ length: 60 }, (_, number) => eventOf(orderConfirmed, { orderId: orderId(number) }));
    await deliver(database, tellShop, events, ports);
    const context = { database, ports, feeds: { passed: async () => true } };
    const signal = new AbortController().signal;
    await sendDue(context, "chat", signal);
    // Those under way when the first failed.
    expect(chat.messages.length).toBeLessThanOrEqual(16);
    const untried = (await messagesIn(database)).filter(({ attempts }) => attempts === 0);
    expect(untried.length).toBeGreaterThanOrEqual(44);
    const before = chat.messages.length;
    await waitFor(async () => (await sendDue(context, "chat", signal)) > 0);
    expect(chat.messages.length).toBe(before + 1);
    isDown = false;
    startSending(database, ports);
    await allAre(database, "sent", 60);
  });

  test("a process that dies over a call: another sends it after the lease, under the same id", async () => {
    const database = await openNotifications();
    const ports = portsWith({ chat: recorder() });
    await deliver(database, tellShop, [eventOf(orderConfirmed)], ports);
    const [told, again] = [recorder(() => new Promise<never>(() => undefined)), recorder()];
    void sendDue(
      { database, ports: portsWith({ chat: told }), feeds: { passed: async () => true } },
      "chat",
      AbortSignal.any([]),
    );
    await waitFor(() => told.messages.length === 1);
    await database.execute(leaseEndsSql, []);
    startSending(database, portsWith({ chat: again }));
    const [message] = await allAre(database, "sent", 1);
    expect(again.messages.map(({ id }) => id)).toEqual([message?.id]);
    expect(told.messages.map(({ id }) => id)).toEqual([message?.id]);
  });
});

const leaseEndsSql = sql("test.lease-ends", { takes: [], gives: {} })`
  update notifications.message set due_at = clock_timestamp() where status = 'pending'`;

test("wherever the program dies between event and sending, the message is told under one id", async () => {
  const told: string[] = [];
  await everyCrashPoint({
    content,
    schema: "notifications",
    deliver: async (database, step) => {
      const send = async ({ id }: { id: string }) => void (await step("the call", async () => told.push(id)));
      const ports = { ...portsWith({ chat: { send } }), ids: testIds() };
      await deliver(database, tellShop, [eventOf(orderConfirmed, { orderId: orderId(1) })], ports);
      await database.execute(leaseEndsSql, []);
      await sendDue({ database, ports, feeds: { passed: async () => true } }, "chat", new AbortController().signal);
    },
    outcome: async (database) => (await messagesIn(database)).map(({ id, orderId }) => ({ id, orderId })),
  });
  expect(new Set(told).size).toBe(1);
});

test("a dead channel stands beside a living one, over real HTTP and SMTP", async () => {
  const database = await openNotifications();
  await using receiver = await startReceiver();
  await using server = await startMailServer();
  // It takes the connection and never answers.
  receiver.answerWith(() => undefined);
  const mail = mailSender({ url: server.url, from: "Shop <shop@example.com>" });
  const ports = portsWith(
    { chat: chatSender({ url: receiver.url, timeoutMs: 300 }), mail },
    { ...hasty, attempts: 1_000 },
  );
  const asked = recorder();
  const api = await serve(database, portsWith({ mail: asked }));
  const asking = startSending(database, portsWith({ mail: asked }));
  for (const number of [1, 2, 3]) await optIn(api, buyer(number), asked);
  await asking.drain();

  listen(database, ports);
  const sending = startSending(database, ports);
  await confirm(database, 1, 2, 3);
  await waitFor(() => server.received.length === 3, { what: "three mails" });
  const chats = (await messagesIn(database)).filter(({ channel }) => channel === "chat");
  expect(chats.map(({ status }) => status)).toEqual(["pending", "pending", "pending"]);

  receiver.answerWith((response) => void response.end());
  await waitFor(async () => (await messagesIn(database)).every(({ status }) => status === "sent"));
  expect(new Set(receiver.received.map(({ headers }) => headers["webhook-id"])).size).toBe(3);
  await sending.drain();
  await mail.close?.();
});

describe("buyers", () => {
  test("are told of each end and each return by the channels they chose, in their language; others are told nothing", async () => {
    const database = await openNotifications();
    const [mail, push] = [recorder(), recorder()];
    const ports = portsWith({ mail, push });
    const api = await serve(database, ports);
    startSending(database, ports);
    await optIn(api, buyer(1), mail, { orders: ["mail", "push"], pushToken: "device-1", language: "ko" });
    const of = (number: number) => ({ orderId: orderId(number), buyerId: personId(number) });
    await deliver(database, tellShop, [eventOf(orderConfirmed, of(1))], ports);
    const events = [
      eventOf(orderConfirmed, { ...of(9), buyerId: personId(1) }),
      eventOf(orderReturned, { orderId: orderId(1) }, { sequence: 2 }),
      eventOf(orderRejected, { ...of(2), buyerId: personId(1), reason: "SOLD_OUT" }),
      eventOf(orderCancelled, { ...of(3), buyerId: personId(1), reason: "CANCELLED_BY_BUYER" }),
      eventOf(orderConfirmed, of(4)),
      eventOf(orderReturned, { orderId: orderId(5), returnId: orderId(50) }),
      eventOf(orderReturnRequested, { ...of(6), buyerId: personId(1), returnId: orderId(60) }),
      eventOf(orderReturnRefused, { ...of(6), buyerId: personId(1), returnId: orderId(60) }, { sequence: 2 }),
      eventOf(orderReturnLapsed, { ...of(6), buyerId: personId(1), returnId: orderId(61) }, { sequence: 3 }),
    ];
    await deliver(database, tellBuyer, events, ports);
    await deliver(database, tellBuyer, events, ports);
    await waitFor(async () => (await messagesIn(database)).every(({ status }) => status !== "pending"));
    const titles = [
      "반품 신청이 접수되었습니다",
      "반품이 접수되었습니다",
      "반품이 종료되었습니다",
      "일부 반품이 승인되지 않았습니다",
      "주문이 접수되지 않았습니다",
      "주문이 취소되었습니다",
      "주문이 확정되었습니다",
    ];
    const told = ({ messages }: typeof mail) => messages.map(({ wording }) => wording.title).toSorted();
    expect(told(push)).toEqual(titles);
    expect(told(mail).filter((title) => titles.includes(title))).toEqual(titles);
    expect(new Set(push.messages.map(({ to }) => to))).toEqual(new Set(["device-1"]));
    expect(new Set(mail.messages.map(({ to }) => to))).toEqual(new Set([`${personId(1)}@example.com`]));
  });
});

test("operators see the messages, newest first and page by page", async () => {
  const database = await openNotifications();
  const ports = portsWith({});
  const api = await serve(database, ports);
  const events = Array.from({ length: 5 }, (_, number) => eventOf(orderConfirmed, { orderId: orderId(number) }));
  await deliver(database, tellShop, events, ports);
  const get = async (query: string) =>
    (await api.call(operator, "GET", `/v1/admin/messages${query}`)).body as never as {
      messages: { messageId: string; orderId: string; text: string }[];
      next: string | null;
    };
  const first = await get("?limit=3");
  const second = await get(`?limit=3&after=${first.next}`);
  const seen = [...first.messages, ...second.messages].map(({ messageId }) => messageId);
  expect(seen).toHaveLength(5);
  expect(seen).toEqual(seen.toSorted().toReversed());
  expect(second.next).toBeNull();
  expect((await get("?channel=mail")).messages).toEqual([]);
  expect((await get(`?orderId=${orderId(3)}`)).messages).toMatchObject([
    { orderId: orderId(3), status: "kept", text: `Order confirmed\nGBP 15.30, 1 line.\nOrder ${orderId(3)}` },
  ]);
});

const countSql = sql("test.count-messages", { takes: [], gives: { count: integer } })`
  select count(*)::int as count from notifications.message`;

test("nothing that a buyer can send makes a message, but the question to their own address", async () => {
  const database = await openNotifications();
  const mail = recorder();
  const api = await serve(database, portsWith({ mail, push: recorder(), chat: recorder() }));
  for (const [method, url, body] of [
    [
      "POST",
      "/v1/admin/bulk-messages",
      { texts: { en: { title: "x", text: "x" } }, channels: ["mail"], ratePerSecond: 1 },
    ],
    ["POST", "/v1/admin/dead-messages/resend", { channel: "mail" }],
    ["POST", `/v1/admin/messages/${orderId(1)}/resend`, undefined],
    ["POST", "/v1/messages", { text: "x" }],
  ] as const)
    expect((await api.call(buyer(1), method, url, body)).status).toBeGreaterThanOrEqual(403);
  const wish = { language: "en", email: null, pushToken: "token", orders: ["push"], news: ["push"] };
  expect((await api.call(buyer(1), "PUT", "/v1/notification-settings", wish)).status).toBe(200);
  expect(await database.query(countSql, [])).toEqual([{ count: 0 }]);
});
