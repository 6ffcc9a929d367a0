/** The three ways out, each against a real server of its kind. */

import { Webhook } from "standardwebhooks";
import { describe, expect, test } from "vitest";
import { chatSender, type MessageSender, mailSender, NotTakenError, pushSender } from "../src/senders.ts";
import { startMailServer } from "./mail-server.ts";
import { startReceiver } from "./receiver.ts";

const id = "0192f0c1-0000-7000-8000-000000000009";
const message = {
  id,
  to: "somebody@example.com",
  language: "en",
  wording: { title: "Hello", lines: ["One.", "Two."] },
};
const never = new AbortController().signal;
const secret = `whsec_${Buffer.from("a secret of the push gateway").toString("base64")}`;

/** How the sender says that a message was not taken. */
async function refusalOf(sender: MessageSender, signal = never): Promise<NotTakenError> {
  const failure = await sender.send(message, signal).then(
    () => undefined,
    (error: unknown) => error,
  );
  expect(failure).toBeInstanceOf(NotTakenError);
  return failure as NotTakenError;
}

describe("a chat", () => {
  test("is posted the message in Slack's shape, its id in a header", async () => {
    await using receiver = await startReceiver();
    await chatSender({ url: receiver.url }).send(message, never);
    const section = { type: "section", text: { type: "mrkdwn", text: "*Hello*\nOne.\nTwo." } };
    expect(receiver.received).toMatchObject([
      { path: "/hook", body: { text: "Hello\nOne.\nTwo.", blocks: [section] }, headers: { "webhook-id": id } },
    ]);
  });

  test.each([
    [400, "message"],
    [404, "line"],
    [429, "line"],
    [500, "line"],
    [302, "line"],
  ])("that answers %i has not taken it, which is the fault of the %s", async (status, fault) => {
    await using receiver = await startReceiver();
    receiver.answerWith((response) => void response.writeHead(status, { location: "/elsewhere" }).end());
    const refusal = await refusalOf(chatSender({ url: receiver.url }));
    expect(refusal).toMatchObject({ message: `The receiver answered ${status}.`, fault });
    expect(receiver.received.map(({ path }) => path)).toEqual(["/hook"]);
  });

  test("says how long it wants to be left alone, and is believed up to an hour", async () => {
    await using receiver = await startReceiver();
    const askFor = (seconds: string) => {
      receiver.answerWith((response) => void response.writeHead(429, { "retry-after": seconds }).end());
      return refusalOf(chatSender({ url: receiver.url }));
    };
    expect((await askFor("7")).retryAfterMs).toBe(7_000);
    expect((await askFor("999999")).retryAfterMs).toBe(3_600_000);
    expect((await askFor("tomorrow")).retryAfterMs).toBe(0);
  });

  test("that never answers is given up after the time it has", async () => {
    await using receiver = await startReceiver();
    receiver.answerWith(() => undefined);
    const refusal = await refusalOf(chatSender({ url: receiver.url, timeoutMs: 50 }));
    expect(refusal).toMatchObject({ message: "The receiver did not answer within 50 ms.", fault: "line" });
  });

  test("has answered with its status: nobody waits for a body that never ends", async () => {
    await using receiver = await startReceiver();
    receiver.answerWith((response) => void response.writeHead(200).write("o"));
    await chatSender({ url: receiver.url }).send(message, never);
  });

  test("that cuts the connection has not taken it, and the text does not tell its address", async () => {
    await using receiver = await startReceiver();
    receiver.answerWith((response) => void response.destroy());
    expect((await refusalOf(chatSender({ url: receiver.url }))).message).toBe("The receiver can't be reached.");
  });

  test("is hung up on when the process stops", async () => {
    await using receiver = await startReceiver();
    receiver.answerWith(() => undefined);
    const stop = new AbortController();
    const sending = chatSender({ url: receiver.url }).send(message, stop.signal);
    await receiver.gets(1);
    stop.abort();
    await expect(sending).rejects.toThrow();
  });

  test.each(["file:///etc/passwd", "ftp://example.com/", "javascript:alert(1)"])("%s is refused at start", (url) => {
    expect(() => chatSender({ url })).toThrow(TypeError);
    expect(() => pushSender({ url, secret, now: Date.now })).toThrow(TypeError);
    expect(() => mailSender({ url, from: "a@example.com" })).toThrow(TypeError);
  });
});

describe("a push gateway", () => {
  test("is posted the message for a device, signed", async () => {
    await using receiver = await startReceiver();
    await pushSender({ url: receiver.url, secret, now: Date.now }).send({ ...message, to: "device token" }, never);
    const [{ body, headers, raw }] = receiver.received as [(typeof receiver.received)[number]];
    expect(body).toEqual({ id, to: "device token", language: "en", title: "Hello", body: "One.\nTwo." });
    expect(new Webhook(secret).verify(raw, headers as Record<string, string>)).toEqual(body);
    const other = new Webhook(`whsec_${Buffer.from("another secret of somebody").toString("base64")}`);
    expect(() => other.verify(raw, headers as Record<string, string>)).toThrow();
  });

  test.each([
    [410, "refused"],
    [404, "refused"],
    [401, "line"],
    [503, "line"],
  ])("that answers %i: %s", async (status, fault) => {
    await using receiver = await startReceiver();
    receiver.answerWith((response) => void response.writeHead(status).end());
    expect(await refusalOf(pushSender({ url: receiver.url, secret, now: Date.now }))).toMatchObject({ fault });
  });
});

describe("a mail server", () => {
  const from = "Shop <shop@example.com>";

  test("is given the message for one address, under the same Message-ID each time", async () => {
    await using server = await startMailServer();
    const sender = mailSender({ url: server.url, from });
    await sender.send({ ...message, wording: { title: "주문 <확정>", lines: ["£15.30 & more"] } }, never);
    await sender.send(message, never);
    await sender.close?.();
    const [first, second] = server.received;
    expect(first?.to).toEqual(["somebody@example.com"]);
    for (const mail of [first, second]) expect(mail?.raw).toContain(`Message-ID: <${id}@example.com>`);
    expect(first?.raw).toContain("From: Shop <shop@example.com>");
    expect(first?.raw).toContain("Auto-Submitted: auto-generated");
    expect(first?.raw).not.toContain("<확정>");
    expect(first?.text).toContain("주문 <확정>");
  });

  test("can't be made to read a second recipient or header out of an address or a title", async () => {
    await using server = await startMailServer();
    const sender = mailSender({ url: server.url, from });
    const hostile = { title: "Hi\r\nBcc: victim@example.com", lines: ["x\r\n.\r\nRCPT TO:<victim@example.com>"] };
    await sender.send({ ...message, wording: hostile }, never);
    await sender.send({ ...message, to: "a@example.com, victim@example.com" }, never).catch(() => undefined);
    await sender.close?.();
    expect(server.received.flatMap(({ to }) => to)).not.toContain("victim@example.com");
    expect(server.received[0]?.raw).not.toMatch(/^bcc:/im);
  });

  test.each([
    [550, "refused"],
    [450, "message"],
    [421, "line"],
  ])("that answers %i to a recipient: %s", async (status, fault) => {
    await using server = await startMailServer();
    server.refuseRecipients(status);
    const sender = mailSender({ url: server.url, from });
    const refusal = await refusalOf(sender);
    await sender.close?.();
    expect(refusal).toMatchObject({ fault, message: `The mail server answered ${status}.` });
    expect(refusal.message).not.toContain("somebody");
  });

  test("that is not there is the line's fault", async () => {
    const gone = await startMailServer();
    await gone[Symbol.asyncDispose]();
    expect(await refusalOf(mailSender({ url: gone.url, from }))).toMatchObject({ fault: "line" });
  });

  test("needs a sender with a domain", () => {
    expect(() => mailSender({ url: "smtp://127.0.0.1", from: "shop" })).toThrow(TypeError);
  });
});
