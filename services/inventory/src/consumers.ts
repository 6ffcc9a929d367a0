import {
  orderAuthorised,
  orderCancelled,
  orderPlaced,
  orderRejected,
  orderReturned,
  orderWithdrawn,
} from "@onsale/contracts/orders";
import { paymentAuthorised, paymentCaptureRefused, paymentDeclined } from "@onsale/contracts/payments";
import { pointsHeld, pointsRefused } from "@onsale/contracts/wallet";
import { consumer } from "@onsale/messaging";
import { confirmHolds } from "./confirm-holds.ts";
import { releaseHolds } from "./release-holds.ts";
import { reserveStock } from "./reserve-stock.ts";
import { restockReturns } from "./restock-returns.ts";

const reserve = consumer("inventory.reserve-stock", { on: orderPlaced, in: "batch", do: reserveStock });
const restock = consumer("inventory.restock-returns", { on: orderReturned, in: "batch", do: restockReturns });

export const consumers = [
  reserve,
  consumer("inventory.confirm-holds", { on: orderAuthorised, in: "batch", do: confirmHolds }),
  consumer("inventory.release-holds", { on: [orderRejected, orderCancelled], in: "batch", do: releaseHolds }),
  restock,
];

/** Where nobody leads an order: what pays for it confirms its holds, and what can't releases them. */
export const choreographed = [
  reserve,
  consumer("inventory.confirm-holds", { on: [paymentAuthorised, pointsHeld], in: "batch", do: confirmHolds }),
  consumer("inventory.release-holds", {
    on: [pointsRefused, paymentDeclined, paymentCaptureRefused, orderWithdrawn, orderRejected, orderCancelled],
    in: "batch",
    do: releaseHolds,
  }),
  restock,
];
