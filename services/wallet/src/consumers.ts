import { accountRegistered, accountRoleChanged } from "@onsale/contracts/accounts";
import { stockLapsed, stockReserved } from "@onsale/contracts/inventory";
import { orderConfirmed, orderPointsPayable, orderReturned, orderWithdrawn } from "@onsale/contracts/orders";
import { paymentCaptureRefused, paymentDeclined } from "@onsale/contracts/payments";
import { consumer } from "@onsale/messaging";
import { confirmPoints } from "./confirm-points.ts";
import { giveBackPoints } from "./give-back-points.ts";
import { holdPoints } from "./hold-points.ts";
import { noteHolders } from "./note-holders.ts";
import { releasePoints } from "./release-points.ts";

const others = [
  consumer("wallet.confirm-points", { on: orderConfirmed, in: "batch", do: confirmPoints }),
  consumer("wallet.give-back-points", { on: orderReturned, in: "batch", do: giveBackPoints }),
  consumer("wallet.note-holders", { on: [accountRegistered, accountRoleChanged], in: "batch", do: noteHolders }),
];

export const consumers = [
  consumer("wallet.hold-points", { on: orderPointsPayable, in: "batch", do: holdPoints }),
  consumer("wallet.release-points", { on: orderWithdrawn, in: "batch", do: releasePoints }),
  ...others,
];

/** Where nobody leads an order: points are held once its stock is, and released when its stock or its payment fails. */
export const choreographed = [
  consumer("wallet.hold-points", { on: stockReserved, in: "batch", do: holdPoints }),
  consumer("wallet.release-points", {
    on: [orderWithdrawn, stockLapsed, paymentDeclined, paymentCaptureRefused],
    in: "batch",
    do: releasePoints,
  }),
  ...others,
];
