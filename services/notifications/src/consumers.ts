import { orderConfirmed } from "@onsale/contracts/orders";
import { consumer } from "@onsale/messaging";
import { prepareMessages, sendMessage, settleMessages } from "./tell-order-confirmed.ts";

/** Calls under way at once: a chat limits its callers sooner than we tire. */
const concurrency = 16;

/** A chat may be down over night: the last of the tries, each after twice the time of the one before, comes after nine hours. */
const retry = { attempts: 16, firstDelayMs: 1_000 };

export const consumers = [
  consumer("notifications.tell-order-confirmed", {
    on: orderConfirmed,
    in: "each",
    concurrency,
    retry,
    prepare: prepareMessages,
    call: sendMessage,
    settle: settleMessages,
  }),
];
