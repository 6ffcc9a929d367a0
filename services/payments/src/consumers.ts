import { consumer } from "@onsale/messaging";
import { callProvider, prepareMoves, settleMoves } from "./move-money.ts";
import { choreographedEvents, moneyEvents } from "./wanted-of-payment.ts";

const moving = {
  in: "each",
  // A call takes some 10 ms at the provider, and up to 100 ms more until it is heard of while batches are decided in
  // between: this still serves 2,000 calls a second. The provider's line has as many connections.
  concurrency: 256,
  prepare: prepareMoves,
  call: callProvider,
  settle: settleMoves,
} as const;

/** What is wanted of payments is one consumer's, so that those of one order are served in order. */
export const consumers = [consumer("payments.move-money", { on: moneyEvents, ...moving })];

/** Where nobody leads an order, its stock and its points tell what is to be done about its money. */
export const choreographed = [consumer("payments.move-money", { on: choreographedEvents, ...moving })];
