import { once } from "node:events";
import type { AddressInfo } from "node:net";
import PostalMime from "postal-mime";
import { SMTPServer } from "smtp-server";
import type { CaughtMessages } from "./caught-messages.ts";

// Far above every message of a shop; who sends more has mistaken the door.
const largestMailBytes = 1_048_576;

export interface MailDoor {
  readonly url: string;
  close(): Promise<void>;
}

/** A mail server on loopback that takes mail for everybody and passes none on. */
export async function openMailDoor(caught: CaughtMessages): Promise<MailDoor> {
  const server = new SMTPServer({
    disabledCommands: ["STARTTLS", "AUTH"],
    size: largestMailBytes,
    onData(stream, { envelope }, callback) {
      const chunks: Buffer[] = [];
      stream.on("data", (chunk: Buffer) => chunks.push(chunk));
      stream.on("end", () => {
        if (stream.sizeExceeded) return callback(Object.assign(new Error("too large"), { responseCode: 552 }));
        take(Buffer.concat(chunks), envelope.rcptTo.map(({ address }) => address).join(", ")).then(
          () => callback(),
          () => callback(Object.assign(new Error("not a mail"), { responseCode: 554 })),
        );
      });
    },
  });
  const take = async (raw: Buffer, to: string): Promise<void> => {
    const { messageId = "", subject = "", text = "" } = await PostalMime.parse(raw);
    // The shop writes <id@domain>; whoever writes otherwise is known by the whole.
    const id = /^<([^@>]+)@/.exec(messageId)?.[1] ?? messageId;
    const words = text.trim();
    caught.take({ id, channel: "mail", to, text: words.startsWith(subject) ? words : `${subject}\n\n${words}` });
  };
  // A client that breaks off is its own affair.
  server.on("error", () => undefined);
  server.listen(0, "127.0.0.1");
  await once(server.server, "listening");
  const { port } = server.server.address() as AddressInfo;
  return {
    url: `smtp://127.0.0.1:${port}`,
    close: () => new Promise((resolve) => server.close(() => resolve())),
  };
}
