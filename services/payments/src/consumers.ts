import { consumer } from "@onsale/messaging";
import { callProvider, moneyEvents, prepareMoves, settleMoves } from "./move-money.ts";

export const consumers = [
  consumer("payments.move-money", {
    on: moneyEvents,
    in: "each",
    // A call takes some 10 ms, so that this serves over 10,000 calls a second; the provider's line has as many connections.
    concurrency: 128,
    prepare: prepareMoves,
    call: callProvider,
    settle: settleMoves,
  }),
];
