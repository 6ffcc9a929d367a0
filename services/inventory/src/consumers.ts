import { orderAuthorised, orderCancelled, orderPlaced, orderRejected, orderReturned } from "@onsale/contracts/orders";
import { consumer } from "@onsale/messaging";
import { confirmHolds } from "./confirm-holds.ts";
import { releaseHolds } from "./release-holds.ts";
import { reserveStock } from "./reserve-stock.ts";
import { restockReturns } from "./restock-returns.ts";

export const consumers = [
  consumer("inventory.reserve-stock", { on: orderPlaced, in: "batch", do: reserveStock }),
  consumer("inventory.confirm-holds", { on: orderAuthorised, in: "batch", do: confirmHolds }),
  consumer("inventory.release-holds", { on: [orderRejected, orderCancelled], in: "batch", do: releaseHolds }),
  consumer("inventory.restock-returns", { on: orderReturned, in: "batch", do: restockReturns }),
];
