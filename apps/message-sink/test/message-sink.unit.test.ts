import { chatSender, mailSender, pushSender } from "@onsale/notifications/senders";
import { expect, test } from "vitest";
import { startMessageSink } from "../src/index.ts";

const never = new AbortController().signal;
const message = { language: "en", wording: { title: "Hello <b>you</b>", lines: ["One.", "한국어 & more"] } };

test("shows each message once by its id, through every channel, however often it is delivered", async () => {
  const sink = await startMessageSink();
  const mail = mailSender(sink.channels.mail);
  const senders = {
    chat: chatSender(sink.channels.chat),
    mail,
    push: pushSender({ ...sink.channels.push, now: Date.now }),
  };
  for (const id of ["one", "two"])
    for (const [channel, sender] of Object.entries(senders))
      for (let time = 0; time < (id === "one" ? 3 : 1); time++)
        await sender.send({ ...message, id, to: channel === "chat" ? undefined : "a@example.com" }, never);
  await mail.close?.();

  const { total, messages } = (await (await fetch(`${sink.url}/messages`)).json()) as {
    total: number;
    messages: { id: string; channel: string; to?: string; times: number; text: string }[];
  };
  expect(total).toBe(6);
  expect(messages.map(({ channel, id, times }) => `${channel} ${id} ${times}`).toSorted()).toEqual(
    ["chat one 3", "chat two 1", "mail one 3", "mail two 1", "push one 3", "push two 1"].toSorted(),
  );
  for (const { channel, to, text } of messages) {
    expect(to).toBe(channel === "chat" ? undefined : "a@example.com");
    expect(text).toContain("한국어");
  }
  const html = await (await fetch(sink.url)).text();
  expect(html).toContain("&lt;b&gt;you");
  expect(html).not.toContain("<b>");
  await sink.stop();
});

test("takes no push that the shop did not sign, and nothing else", async () => {
  const sink = await startMessageSink();
  const body = JSON.stringify({ to: "device", title: "x", body: "y" });
  const post = async (path: string, text = body) =>
    (await fetch(`${sink.url}${path}`, { method: "POST", body: text })).status;
  expect(await post("/push")).toBe(400);
  expect(await post("/chat", "no json")).toBe(400);
  expect(await post("/elsewhere")).toBe(404);
  expect(await (await fetch(`${sink.url}/messages`)).json()).toEqual({ total: 0, messages: [] });
  await sink.stop();
});
