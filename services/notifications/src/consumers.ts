import { orderConfirmed } from "@onsale/contracts/orders";
import { consumer } from "@onsale/messaging";
import { prepareMessages, sendMessage, settleMessages } from "./tell-order-confirmed.ts";

/** Calls under way at once: a chat limits its callers sooner than we tire. */
const concurrency = 16;

export const consumers = [
  consumer("notifications.tell-order-confirmed", {
    on: orderConfirmed,
    in: "each",
    concurrency,
    prepare: prepareMessages,
    call: sendMessage,
    settle: settleMessages,
  }),
];
