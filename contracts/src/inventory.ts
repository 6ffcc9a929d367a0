/** The words of the inventory service, the only one that can say "sold out". */

import { defineEvent } from "@onsale/messaging";
import { Type } from "typebox";
import { HoldId, OrderId, ReturnId, Sku } from "./ids.ts";
import { Units } from "./money.ts";
import { Dues, maximumLines } from "./orders.ts";
import { Instant } from "./time.ts";

const orderId = "0192f0c1-0000-7000-8000-000000000001";
const holdId = "0192f0c1-0000-7000-8000-000000000004";
const returnId = "0192f0c1-0000-7000-8000-000000000003";

/**
 * Every line of the order is held for it, and pinned: while the order lives the hold stays, until it is confirmed or
 * released, or `expiresAt` passes, which lies behind the order's own bound.
 */
export const stockReserved = defineEvent("stock.reserved.v1", {
  key: "orderId",
  lanes: { online: true },
  schema: Type.Object({
    orderId: OrderId,
    /** One per line, and those that the order brought. */
    holds: Type.Array(Type.Object({ holdId: HoldId, sku: Sku, units: Units }), {
      minItems: 1,
      maxItems: 2 * maximumLines,
    }),
    expiresAt: Instant,
    /** Of a choreographed order. */
    dues: Type.Optional(Dues),
  }),
  sample: { orderId, holds: [{ holdId, sku: "85123A", units: 6 }], expiresAt: "2026-11-21T09:15:00.000Z" },
});

export const StockRefusal = Type.Union([
  Type.Literal("SOLD_OUT"),
  Type.Literal("UNKNOWN_SKU"),
  Type.Literal("LIMIT_PER_BUYER"),
  Type.Literal("HOLD_EXPIRED"),
  /** Holds that the order brought are of more than it ordered. */
  Type.Literal("HOLD_MISMATCH"),
]);

/** Nothing is held for the order: it gets all of its lines or none. `skus` are those that stood in the way. */
export const stockRejected = defineEvent("stock.rejected.v1", {
  key: "orderId",
  lanes: { online: true },
  schema: Type.Object({
    orderId: OrderId,
    reason: StockRefusal,
    skus: Type.Array(Sku, { minItems: 1, maxItems: maximumLines }),
  }),
  sample: { orderId, reason: "SOLD_OUT", skus: ["85123A"] },
});

/** The holds of the order are sold to it. */
export const stockConfirmed = defineEvent("stock.confirmed.v1", {
  key: "orderId",
  lanes: { online: true },
  schema: Type.Object({ orderId: OrderId }),
  sample: { orderId },
});

/** The holds were gone when they should have been confirmed; nothing is held for the order any more. */
export const stockLapsed = defineEvent("stock.lapsed.v1", {
  key: "orderId",
  lanes: { online: true },
  schema: Type.Object({ orderId: OrderId }),
  sample: { orderId },
});

/** Everything that was held for or sold to the order is back on the shelf. */
export const stockReleased = defineEvent("stock.released.v1", {
  key: "orderId",
  lanes: { online: true },
  schema: Type.Object({ orderId: OrderId }),
  sample: { orderId },
});

/** Returned units are put away: on the shelf again, or aside where they are damaged. */
export const stockRestocked = defineEvent("stock.restocked.v1", {
  key: "orderId",
  lanes: { online: true },
  schema: Type.Object({ orderId: OrderId, returnId: ReturnId }),
  sample: { orderId, returnId },
});

/** The last unit of a SKU was taken. */
export const shelfEmptied = defineEvent("shelf.emptied.v1", {
  key: "sku",
  lanes: { online: true },
  laneChange: "latest-wins",
  schema: Type.Object({ sku: Sku }),
  sample: { sku: "85123A" },
});

/** A SKU that was sold out, or new, has units again. */
export const shelfRefilled = defineEvent("shelf.refilled.v1", {
  key: "sku",
  lanes: { online: true },
  laneChange: "latest-wins",
  schema: Type.Object({ sku: Sku }),
  sample: { sku: "85123A" },
});
