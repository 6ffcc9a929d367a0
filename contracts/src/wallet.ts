/** The words of the wallet service: what became of an order's part that is paid with points. The order's id is their key. */

import { defineEvent } from "@onsale/messaging";
import { Type } from "typebox";
import { BuyerId, OrderId, ReturnId } from "./ids.ts";
import { AmountMinor, Currency } from "./money.ts";
import { Dues } from "./orders.ts";

const orderId = "0192f0c1-0000-7000-8000-000000000001";
const buyerId = "0192f0c1-0000-7000-8000-000000000002";
const returnId = "0192f0c1-0000-7000-8000-000000000003";

/** The points are set aside for the order. They stay so until it is confirmed or withdrawn: such a hold has no end of its own. */
export const pointsHeld = defineEvent("points.held.v1", {
  key: "orderId",
  lanes: { online: true },
  schema: Type.Object({
    orderId: OrderId,
    buyerId: BuyerId,
    amountMinor: AmountMinor,
    currency: Currency,
    /** Of a choreographed order. */
    dues: Type.Optional(Dues),
  }),
  sample: { orderId, buyerId, amountMinor: 500, currency: "GBP" },
});

/** The buyer has fewer points than the order wants; nothing is set aside. */
export const pointsRefused = defineEvent("points.refused.v1", {
  key: "orderId",
  lanes: { online: true },
  schema: Type.Object({ orderId: OrderId, reason: Type.Literal("INSUFFICIENT_POINTS") }),
  sample: { orderId, reason: "INSUFFICIENT_POINTS" },
});

/** The points that were set aside are spent: the order was confirmed. */
export const pointsSpent = defineEvent("points.spent.v1", {
  key: "orderId",
  lanes: { online: true },
  schema: Type.Object({ orderId: OrderId, amountMinor: AmountMinor, currency: Currency }),
  sample: { orderId, amountMinor: 500, currency: "GBP" },
});

/** Nothing of the order's points is taken any more: what was set aside or spent is the buyer's again. */
export const pointsReleased = defineEvent("points.released.v1", {
  key: "orderId",
  lanes: { online: true },
  schema: Type.Object({ orderId: OrderId, returnedMinor: AmountMinor, currency: Currency }),
  sample: { orderId, returnedMinor: 500, currency: "GBP" },
});

/** Part of the points that an order had spent was given back for a return. */
export const pointsRefunded = defineEvent("points.refunded.v1", {
  key: "orderId",
  lanes: { online: true },
  schema: Type.Object({ orderId: OrderId, returnId: ReturnId, amountMinor: AmountMinor, currency: Currency }),
  sample: { orderId, returnId, amountMinor: 200, currency: "GBP" },
});
