import { once } from "node:events";
import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { mailSender } from "@onsale/notifications/senders";
import { SMTPServer } from "smtp-server";
import { afterAll, beforeAll, expect, test } from "vitest";
import { fileResetMail, sentResetMail } from "../src/reset-mail.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "onsale-mails-"));
});
afterAll(() => rm(folder, { recursive: true }));

const message = {
  id: "00000000-0000-7000-8000-000000000001",
  to: "ann@example.com",
  name: "Ann",
  token: "the.token",
  expiresAt: "2026-11-22T05:30:00.000Z",
};
const signal = new AbortController().signal;

test("a mail says what to open, and until when, and goes the way of the shop's mails", async () => {
  const received: string[] = [];
  await using server = await startMailServer(received);
  const mail = mailSender({ url: server.url, from: "Shop <shop@shop.example>" });
  await sentResetMail(mail, "https://shop.example/").send(message, signal);
  await mail.close?.();
  const [raw = ""] = received;
  expect(raw).toContain("To: ann@example.com");
  expect(raw).toContain(`Message-ID: <${message.id}@shop.example>`);
  const unfolded = raw.replaceAll("=\r\n", "").replaceAll("=3D", "=");
  expect(unfolded).toContain("\nhttps://shop.example/reset-password#the.token\r\n");
  expect(unfolded).toContain("2026-11-22 05:30 UTC");
});

test("mails without a server are lines that only the owner may read, and a full file begins anew", async () => {
  const path = join(folder, "mails.jsonl");
  const mail = fileResetMail({ path, shopUrl: "http://127.0.0.1:7080" });
  await Promise.all([mail.send(message, signal), mail.send({ ...message, to: "bob@example.com" }, signal)]);
  const lines = (await readFile(path, "utf8")).trim().split("\n");
  expect(lines.map((line) => JSON.parse(line).to)).toEqual(["ann@example.com", "bob@example.com"]);
  expect((await stat(path)).mode & 0o777).toBe(0o600);
  await writeFile(path, "x".repeat(1024 * 1024 + 1));
  await Promise.all([mail.send(message, signal), mail.send(message, signal)]);
  expect((await readFile(path, "utf8")).trim().split("\n")).toHaveLength(2);
});

async function startMailServer(received: string[]): Promise<AsyncDisposable & { readonly url: string }> {
  const server = new SMTPServer({
    disabledCommands: ["STARTTLS", "AUTH"],
    async onData(stream, _session, callback) {
      const chunks: Buffer[] = [];
      for await (const chunk of stream) chunks.push(chunk as Buffer);
      received.push(Buffer.concat(chunks).toString("utf8"));
      callback();
    },
  });
  server.listen(0, "127.0.0.1");
  await once(server.server, "listening");
  const { port } = server.server.address() as { port: number };
  const close = () => new Promise<void>((resolve) => server.close(() => resolve()));
  return { url: `smtp://127.0.0.1:${port}`, [Symbol.asyncDispose]: close };
}
