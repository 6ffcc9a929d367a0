import type { Channel } from "./message.ts";
import type { Wording } from "./wording.ts";

/** One message on its way out. */
export interface OutgoingMessage {
  /** The same for every attempt, by which receivers know a repetition. */
  readonly id: string;
  /** The person's address in this channel. Undefined: the channel is the shop's own. */
  readonly to: string | undefined;
  readonly wording: Wording;
  readonly language: string;
  /** Of news by mail: where its reader ends it. */
  readonly unsubscribeUrl?: string | undefined;
}

/** One channel's way out of the house. */
export interface MessageSender {
  /**
   * Resolves once the other side has it. A throw is tried again later, unless it is a `NotTakenError` that says otherwise;
   * the other side may have it all the same.
   */
  readonly send: (message: OutgoingMessage, signal: AbortSignal) => Promise<void>;
  /** Lets connections go. */
  readonly close?: () => Promise<void>;
}

/** The channels that a shop has. */
export type Senders = { readonly [Name in Channel]?: MessageSender };

export interface NotTakenOptions extends ErrorOptions {
  /**
   * Whose fault it is. `line`: nobody is there, or nobody is let in; the next message would fare no better. `message`: this
   * one is not taken now. `refused`: this one is never taken.
   */
  readonly fault: "line" | "message" | "refused";
  /** Milliseconds that the other side asks us to wait. */
  readonly retryAfterMs?: number;
}

/** The other side did not take the message. No address is in the text: operators read it, and a webhook's address is a key. */
export class NotTakenError extends Error {
  override readonly name = "NotTakenError";
  readonly fault: NotTakenOptions["fault"];
  readonly retryAfterMs: number;
  constructor(message: string, { fault, retryAfterMs = 0, ...options }: NotTakenOptions) {
    super(message, options);
    this.fault = fault;
    this.retryAfterMs = retryAfterMs;
  }
}
