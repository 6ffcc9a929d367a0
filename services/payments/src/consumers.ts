import { consumer } from "@onsale/messaging";
import { callProvider, moneyEvents, prepareMoves, settleMoves } from "./move-money.ts";

export const consumers = [
  consumer("payments.move-money", {
    on: moneyEvents,
    in: "each",
    // A call takes some 10 ms at the provider, and up to 100 ms more until it is heard of while batches are decided in
    // between: this still serves 2,000 calls a second. The provider's line has as many connections.
    concurrency: 256,
    prepare: prepareMoves,
    call: callProvider,
    settle: settleMoves,
  }),
];
