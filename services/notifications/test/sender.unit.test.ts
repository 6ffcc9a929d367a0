import { describe, expect, test } from "vitest";
import { confirmedMessage } from "../src/message.ts";
import { httpSender, MessageNotTakenError } from "../src/sender.ts";
import { startReceiver } from "./receiver.ts";

const order = {
  orderId: "0192f0c1-0000-7000-8000-000000000001",
  buyerId: "0192f0c1-0000-7000-8000-000000000002",
  totalMinor: 1530,
  pointsMinor: 0,
  currency: "GBP",
  lineCount: 1,
};
const message = { id: "0192f0c1-0000-7000-8000-000000000009", body: confirmedMessage(order) };
const never = new AbortController().signal;

describe("the message", () => {
  test("names order, amount and lines in Slack's shape, and no person", () => {
    const text = JSON.stringify(confirmedMessage({ ...order, lineCount: 3 }));
    expect(confirmedMessage(order).text).toBe(`Order ${order.orderId} is confirmed: GBP 15.30, 1 line.`);
    expect(text).toContain('{"type":"section","text":{"type":"mrkdwn","text":"*Order confirmed*  GBP 15.30, 3 lines');
    expect(text).not.toContain(order.buyerId);
  });

  test.each([
    ["JPY", 1530, "JPY 1530"],
    ["KWD", 1530, "KWD 1.530"],
    ["GBP", 5, "GBP 0.05"],
    ["GBP", 0, "GBP 0.00"],
  ])("writes %s with the digits of the currency", (currency, totalMinor, amount) => {
    expect(confirmedMessage({ ...order, currency, totalMinor }).text).toContain(`: ${amount}, `);
  });
});

describe("sending by HTTP", () => {
  test("posts the message as JSON, its id in a header", async () => {
    await using receiver = await startReceiver();
    await httpSender({ url: receiver.url }).send(message, never);
    expect(receiver.received).toMatchObject([
      { path: "/hook", body: message.body, headers: { "webhook-id": message.id } },
    ]);
  });

  test.each([400, 404, 429, 500, 503])("an answer of %i is not a delivery", async (status) => {
    await using receiver = await startReceiver();
    receiver.answerWith((response) => void response.writeHead(status).end());
    await expect(httpSender({ url: receiver.url }).send(message, never)).rejects.toThrow(`answered ${status}`);
  });

  test("a redirect is not followed", async () => {
    await using receiver = await startReceiver();
    receiver.answerWith((response) => void response.writeHead(302, { location: "/elsewhere" }).end());
    await expect(httpSender({ url: receiver.url }).send(message, never)).rejects.toThrow("answered 302");
    expect(receiver.received.map(({ path }) => path)).toEqual(["/hook"]);
  });

  test("a receiver that never answers is given up after the time it has", async () => {
    await using receiver = await startReceiver();
    receiver.answerWith(() => undefined);
    await expect(httpSender({ url: receiver.url, timeoutMs: 50 }).send(message, never)).rejects.toThrow("within 50 ms");
  });

  test("the status is the answer: nobody waits for a body that never ends", async () => {
    await using receiver = await startReceiver();
    receiver.answerWith((response) => void response.writeHead(200).write("o"));
    await httpSender({ url: receiver.url }).send(message, never);
  });

  test("a cut connection is no delivery, and the text does not tell the address", async () => {
    await using receiver = await startReceiver();
    receiver.answerWith((response) => void response.destroy());
    const failure = await httpSender({ url: receiver.url })
      .send(message, never)
      .catch((error) => error);
    expect(failure).toBeInstanceOf(MessageNotTakenError);
    expect(failure.message).not.toContain("hook");
  });

  test("stopping ends a call under way", async () => {
    await using receiver = await startReceiver();
    receiver.answerWith(() => undefined);
    const stop = new AbortController();
    const sending = httpSender({ url: receiver.url }).send(message, stop.signal);
    await receiver.gets(1);
    stop.abort();
    await expect(sending).rejects.toThrow();
  });

  test.each(["file:///etc/passwd", "ftp://example.com/", "javascript:alert(1)"])("%s is refused at start", (url) => {
    expect(() => httpSender({ url })).toThrow(TypeError);
  });
});
