import { accountErased } from "@onsale/contracts/accounts";
import {
  orderCancelled,
  orderConfirmed,
  orderRejected,
  orderReturned,
  orderReturnLapsed,
  orderReturnRefused,
  orderReturnRequested,
} from "@onsale/contracts/orders";
import { consumer } from "@onsale/messaging";
import { forgetPeople } from "./forget-person.ts";
import { tellBuyer } from "./tell-buyer.ts";
import { tellShop } from "./tell-shop.ts";

/** They only write down what is to be told, so that no channel that is down keeps an event from being heard. */
export const consumers = [
  consumer("notifications.tell-shop", { on: orderConfirmed, in: "batch", do: tellShop }),
  consumer("notifications.tell-buyer", {
    on: [
      orderConfirmed,
      orderRejected,
      orderCancelled,
      orderReturned,
      orderReturnRequested,
      orderReturnRefused,
      orderReturnLapsed,
    ],
    in: "batch",
    do: tellBuyer,
  }),
  consumer("notifications.forget-person", { on: accountErased, in: "batch", do: forgetPeople }),
];
