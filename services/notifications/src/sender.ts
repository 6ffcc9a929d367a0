import { request } from "undici";
import type { ChatMessage } from "./message.ts";

/** One message on its way out. */
export interface OutgoingMessage {
  /** The same for every attempt, for receivers that want to know a repetition. */
  readonly id: string;
  readonly body: ChatMessage;
}

/** Where messages to people leave the house. */
export interface MessageSender {
  /** Stored with each message: which sender it was given to. */
  readonly channel: string;
  /** Resolves once the other side has it. A throw is tried again later; the other side may have it all the same. */
  readonly send: (message: OutgoingMessage, signal: AbortSignal) => Promise<void>;
}

/** The receiver did not take the message. Its address is not in the text: whoever knows a chat's webhook may write to it. */
export class MessageNotTakenError extends Error {
  override readonly name = "MessageNotTakenError";
}

/** Milliseconds that a receiver has to answer. A chat answers in well under one second. */
const answerTimeoutMs = 5_000;

/**
 * Sends by HTTP POST in Slack's shape, with the message's id in the header `webhook-id` (Standard Webhooks). Redirects are
 * not followed: the address was chosen by an operator, where it points to was not.
 *
 * @throws TypeError when `url` is not http or https.
 */
export function httpSender({ url, timeoutMs = answerTimeoutMs }: { url: string; timeoutMs?: number }): MessageSender {
  const { protocol } = new URL(url);
  if (protocol !== "http:" && protocol !== "https:")
    throw new TypeError("Messages can be sent to http and https addresses only.");
  return {
    channel: "chat",
    async send({ id, body }, signal) {
      // One bound over connecting, sending and reading: a receiver that drips bytes must not hold the key for longer.
      const bound = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]);
      try {
        const answer = await request(url, {
          method: "POST",
          headers: { "content-type": "application/json", "webhook-id": id },
          body: JSON.stringify(body),
          signal: bound,
        });
        // The status is the answer; what follows is only read away, to free the connection, and cut off by the bound.
        answer.body.dump().catch(() => undefined);
        if (answer.statusCode < 200 || answer.statusCode > 299) {
          throw new MessageNotTakenError(`The receiver answered ${answer.statusCode}.`);
        }
      } catch (error) {
        if (error instanceof MessageNotTakenError || signal.aborted) throw error;
        throw new MessageNotTakenError(
          bound.aborted ? `The receiver did not answer within ${timeoutMs} ms.` : "The receiver can't be reached.",
          { cause: error },
        );
      }
    },
  };
}

/** Sends nothing anywhere: what was to be told is in the table of messages. For a shop that has no chat. */
export const localSender: MessageSender = { channel: "local", send: async () => undefined };
