import { productPublished } from "@onsale/contracts/catalog";
import {
  stockConfirmed,
  stockLapsed,
  stockRejected,
  stockReleased,
  stockReserved,
  stockRestocked,
} from "@onsale/contracts/inventory";
import {
  paymentAuthorised,
  paymentCaptured,
  paymentCaptureRefused,
  paymentDeclined,
  paymentRefunded,
  paymentReversed,
  paymentReversing,
} from "@onsale/contracts/payments";
import { pointsHeld, pointsRefunded, pointsRefused, pointsReleased } from "@onsale/contracts/wallet";
import { consumer } from "@onsale/messaging";
import { advanceOrders } from "./advance-orders.ts";
import { copyProducts } from "./copy-products.ts";

export const consumers = [
  consumer("orders.advance", {
    on: [
      stockReserved,
      stockRejected,
      stockConfirmed,
      stockLapsed,
      stockReleased,
      stockRestocked,
      paymentAuthorised,
      paymentDeclined,
      paymentCaptured,
      paymentCaptureRefused,
      paymentReversing,
      paymentReversed,
      paymentRefunded,
      pointsHeld,
      pointsRefused,
      pointsReleased,
      pointsRefunded,
    ],
    in: "batch",
    do: advanceOrders,
  }),
  consumer("orders.copy-products", { on: productPublished, in: "batch", do: copyProducts }),
];
