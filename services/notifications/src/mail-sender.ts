import { createTransport } from "nodemailer";
import { toMail } from "./rendering.ts";
import { type MessageSender, NotTakenError } from "./sender.ts";

export interface MailOptions {
  /** `smtp://user:password@host:port`, or `smtps:` where the connection begins encrypted. */
  readonly url: string;
  /** The sender, `Shop <shop@example.com>`. */
  readonly from: string;
  readonly timeoutMs?: number;
}

// What a mail server lets one client open without asking questions.
const connections = 8;
// A server that looks an address up may take some seconds over it.
const takeTimeoutMs = 15_000;

/** Sends by SMTP. The message's id is the left part of its Message-ID, the same for every attempt. */
export function mailSender({ url, from, timeoutMs = takeTimeoutMs }: MailOptions): MessageSender {
  const transport = createTransport({
    ...serverOf(url),
    pool: true,
    maxConnections: connections,
    connectionTimeout: timeoutMs,
    greetingTimeout: timeoutMs,
    socketTimeout: timeoutMs,
    // Nothing in a message names a file or a page to be fetched.
    disableFileAccess: true,
    disableUrlAccess: true,
  });
  const domain = domainOf(from);
  return {
    async send({ id, to, wording, language, unsubscribeUrl }, signal) {
      if (to === undefined) throw new NotTakenError("Mail needs an address.", { fault: "refused" });
      const bound = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]);
      try {
        await transport.sendMail({
          // As an object: a comma or a bracket in an address does not make two of it.
          ...{ from, to: { name: "", address: to }, messageId: `<${id}@${domain}>`, signal: bound },
          headers: {
            ...{ "Auto-Submitted": "auto-generated", "Content-Language": language },
            // RFC 2369 and 8058: the reader's program shows a button, and a click on it is one POST.
            ...(unsubscribeUrl !== undefined && {
              "List-Unsubscribe": `<${unsubscribeUrl}>`,
              "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
            }),
          },
          ...toMail(wording, language),
        });
      } catch (error) {
        if (signal.aborted) throw error;
        throw notTaken(error);
      }
    },
    close: async () => transport.close(),
  };
}

function serverOf(url: string) {
  const { protocol, hostname, port, username, password } = new URL(url);
  if (protocol !== "smtp:" && protocol !== "smtps:")
    throw new TypeError("Mail is sent to smtp and smtps addresses only.");
  const secure = protocol === "smtps:";
  return {
    host: hostname,
    port: port === "" ? (secure ? 465 : 587) : Number(port),
    secure,
    // A password over a line that is not encrypted would be everybody's.
    ...(username !== "" && {
      requireTLS: !secure,
      auth: { user: decodeURIComponent(username), pass: decodeURIComponent(password) },
    }),
  };
}

/** The right part of our Message-IDs: the sender's domain, as RFC 5322 recommends. */
function domainOf(from: string): string {
  const domain = /@([a-z0-9.-]+)>?\s*$/i.exec(from)?.[1];
  if (domain === undefined) throw new TypeError("The sender of mail must be an e-mail address.");
  return domain;
}

/** RFC 5321: 4yz is "not now", 5yz "never", 421 "I am closing". What is said before a recipient is named is about the line. */
function notTaken(error: unknown): NotTakenError {
  const { code, command, responseCode: status } = error as { code?: string; command?: string; responseCode?: number };
  const isAboutMessage = (code === "EENVELOPE" || code === "EMESSAGE") && command !== "MAIL FROM";
  if (!isAboutMessage || status === 421)
    return new NotTakenError(
      status === undefined ? "The mail server can't be reached." : `The mail server answered ${status}.`,
      { fault: "line", cause: error },
    );
  if (status === undefined)
    return new NotTakenError("The address can't be written to.", { fault: "refused", cause: error });
  return new NotTakenError(`The mail server answered ${status}.`, {
    fault: status >= 500 ? "refused" : "message",
    cause: error,
  });
}
