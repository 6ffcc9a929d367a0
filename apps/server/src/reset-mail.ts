import { appendFile, stat, writeFile } from "node:fs/promises";
import type { ResetMail, ResetMessage } from "@onsale/accounts";
import type { Senders } from "@onsale/notifications/senders";

/**
 * The words around a link. The token stands behind `#`: browsers send that part to nobody, so it is in no log of a server
 * and in no Referer.
 */
export function wordingOf({ name, token, expiresAt }: ResetMessage, shopUrl: string) {
  const until = `${expiresAt.slice(0, 16).replace("T", " ")} UTC`;
  return {
    title: "A new password for your account",
    lines: [
      `Hello ${name}, somebody asked for a new password for your account. If it was you, open this link and choose one:`,
      `${shopUrl.replace(/\/+$/, "")}/reset-password#${token}`,
      `The link works once, until ${until}. If it was not you, there is nothing to do: your password stays as it is.`,
    ],
  };
}

/** Sends them as the shop's other mails go out. */
export const sentResetMail = (mail: NonNullable<Senders["mail"]>, shopUrl: string): ResetMail => ({
  send: (message, signal) =>
    mail.send({ id: message.id, to: message.to, wording: wordingOf(message, shopUrl), language: "en" }, signal),
});

// Some thousand mails; whoever needs more has a mail server.
const largestFileBytes = 1024 * 1024;

/**
 * For a shop that has no mail server: mails are lines of a file that only its owner may read, one JSON object each. Whoever
 * reads them can set the passwords of those they are for, so it lies among the shop's secrets. A full one begins anew.
 */
export function fileResetMail({ path, shopUrl }: { readonly path: string; readonly shopUrl: string }): ResetMail {
  // One after the other: two that found the file full must not both begin it anew.
  let last: Promise<void> = Promise.resolve();
  return {
    send(message) {
      const { id, to } = message;
      const line = `${JSON.stringify({ id, to, ...wordingOf(message, shopUrl) })}\n`;
      const written = last.catch(() => undefined).then(() => writeLine(path, line));
      last = written;
      return written;
    },
  };
}

async function writeLine(path: string, line: string): Promise<void> {
  const size = await stat(path).then(
    (it) => it.size,
    () => 0,
  );
  await (size > largestFileBytes ? writeFile : appendFile)(path, line, { mode: 0o600 });
}
