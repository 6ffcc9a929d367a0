/** What is said over HTTP about stock. */

import { Sku } from "@onsale/contracts/ids";
import { Units } from "@onsale/contracts/money";
import { Instant } from "@onsale/contracts/time";
import { Type } from "typebox";
import { adjustmentReasons } from "./adjustment.ts";

const Uuid = Type.String({ pattern: "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$" });

/** Words of a person about what they did: a few sentences. */
const Note = Type.String({ minLength: 1, maxLength: 500, pattern: "^[^\\u0000-\\u0008\\u000b-\\u001f\\u007f]+$" });

const ReceiptNumber = Type.String({
  minLength: 1,
  maxLength: 64,
  pattern: "^[^\\u0000-\\u001f\\u007f]+$",
  description: "The purchase order's number. It counts once per SKU, however often it is delivered.",
});

/** A location's code as the merchant writes it: short, since it stands in every line of the ledger. */
export const LocationCode = Type.String({
  pattern: "^[a-z0-9][a-z0-9-]{0,31}$",
  description: "A location's code.",
});

export const LocationPath = Type.Object({ location: LocationCode });

const Rank = Type.Integer({
  minimum: 0,
  maximum: 1_000_000,
  description: "Where several locations could serve an order, the lower is asked first.",
});

export const NewLocation = Type.Object({ rank: Rank });
export const NamedLocation = Type.Object({ location: LocationCode, rank: Rank });
export const Locations = Type.Object({ locations: Type.Array(NamedLocation) });

export const Pieces = Type.Integer({ minimum: 0, description: "Pieces." });

export const NewReceipt = Type.Object({
  sku: Sku,
  units: Units,
  location: Type.Optional(LocationCode),
  receiptNumber: Type.Optional(ReceiptNumber),
  inspect: Type.Optional(
    Type.Boolean({ description: "Whether somebody looks at the goods before any of them is for sale." }),
  ),
});

export const Receipt = Type.Object({
  receiptId: Uuid,
  receiptNumber: Type.Union([ReceiptNumber, Type.Null()]),
  sku: Sku,
  units: Units,
  location: LocationCode,
  inspect: Type.Boolean(),
});

export const ReceiptPath = Type.Object({ receiptId: Uuid });

const Found = Type.Integer({ minimum: 0, maximum: 1_000_000, description: "Pieces." });

export const NewInspection = Type.Object({ accepted: Found, damaged: Found, note: Type.Optional(Note) });

export const Inspection = Type.Object({
  receiptId: Uuid,
  sku: Sku,
  accepted: Pieces,
  damaged: Pieces,
  missing: Type.Integer({ minimum: 0, description: "Pieces of the receipt that were not in the box." }),
});

export const NewAdjustment = Type.Object({
  sku: Sku,
  location: Type.Optional(LocationCode),
  units: Type.Union(
    [Type.Integer({ minimum: 1, maximum: 1_000_000 }), Type.Integer({ minimum: -1_000_000, maximum: -1 })],
    { description: "Pieces added or, below zero, taken off." },
  ),
  reason: Type.Union(adjustmentReasons.map((reason) => Type.Literal(reason))),
  note: Type.Optional(Note),
});

export const PerBuyerLimit = Type.Union([Type.Integer({ minimum: 1, maximum: 1_000_000 }), Type.Null()], {
  description:
    "The most that one buyer may take; null where anybody may take all. It counts what is taken from when it was set.",
});

/** As a seat is called on its ticket. */
export const UnitCode = Type.String({
  minLength: 1,
  maxLength: 64,
  pattern: "^[^\\u0000-\\u001f\\u007f]+$",
  description: "A unit's name.",
});

// A hall of ten thousand comes in a few requests, each a transaction of a tenth of a second.
const maximumNamed = 2_000;

export const NewUnits = Type.Object({
  sku: Sku,
  units: Type.Array(UnitCode, {
    minItems: 1,
    maxItems: maximumNamed,
    uniqueItems: true,
    description: "Names, in the order in which those are given who ask for none.",
  }),
  receiptNumber: Type.Optional(ReceiptNumber),
});

export const UnitPageWish = Type.Object({
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 1_000 })),
  after: Type.Optional(Type.Integer({ minimum: 0, description: "The `next` of the page before." })),
});

export const UnitPage = Type.Object({
  units: Type.Array(
    Type.Object({
      unit: UnitCode,
      state: Type.Union([Type.Literal("FREE"), Type.Literal("HELD"), Type.Literal("SOLD"), Type.Literal("GONE")]),
    }),
  ),
  next: Type.Union([Type.Integer(), Type.Null()]),
});

// What a person carries to a till, or seats that friends take together.
const maximumHoldLines = 50;
const maximumHeldUnits = 100;

export const NewHolds = Type.Object({
  lines: Type.Array(
    Type.Union([
      Type.Object({ sku: Sku, quantity: Type.Integer({ minimum: 1, maximum: maximumHeldUnits }) }),
      Type.Object({
        sku: Sku,
        units: Type.Array(UnitCode, { minItems: 1, maxItems: maximumHeldUnits, uniqueItems: true }),
      }),
    ]),
    { minItems: 1, maxItems: maximumHoldLines, description: "Pieces, or units by name. Each SKU once." },
  ),
  holdSeconds: Type.Optional(
    Type.Integer({
      minimum: 30,
      maximum: 900,
      description: "How long they are held, unless an order takes them over before. Default 600.",
    }),
  ),
});

export const Holds = Type.Object({
  holdIds: Type.Array(Uuid),
  holds: Type.Array(
    Type.Object({ holdId: Uuid, sku: Sku, quantity: Units, units: Type.Optional(Type.Array(UnitCode)) }),
  ),
  expiresAt: Instant,
});

export const HoldPath = Type.Object({ holdId: Uuid });

export const BuyerHold = Type.Object({
  holdId: Uuid,
  status: Type.String({ description: "HELD, ATTACHED to an order, EXPIRED or RELEASED." }),
  expiresAt: Instant,
});

const counts = {
  received: Type.Integer({ minimum: 0, description: "Pieces that came in to be sold, corrected by adjustments." }),
  held: Pieces,
  sold: Pieces,
  available: Pieces,
  quarantined: Type.Integer({ minimum: 0, description: "Pieces that are here and not for sale." }),
  inTransit: Type.Integer({ minimum: 0, description: "Pieces on their way from one location to another." }),
};

export const Stock = Type.Object({
  sku: Sku,
  ...counts,
  identified: Type.Boolean({ description: "Whether its units have names, as seats do." }),
  perBuyerLimit: PerBuyerLimit,
  locations: Type.Array(Type.Object({ location: LocationCode, ...counts }), {
    description: "By location; empty where it has lain in main alone.",
  }),
});

export const NewTransfer = Type.Object({
  sku: Sku,
  from: LocationCode,
  to: LocationCode,
  units: Units,
  note: Type.Optional(Note),
});

export const Transfer = Type.Object({
  transferId: Uuid,
  sku: Sku,
  from: LocationCode,
  to: LocationCode,
  units: Units,
  arrivedUnits: Type.Union([Type.Integer({ minimum: 0 }), Type.Null()], {
    description: "Pieces that arrived; null while they are on their way.",
  }),
});

export const TransferPath = Type.Object({ transferId: Uuid });

export const NewArrival = Type.Object({ units: Found, note: Type.Optional(Note) });

export const Adjustment = Type.Object({ adjustmentId: Uuid, stock: Stock });

const Count = Type.Integer({ minimum: 0 });
const Ticket = Type.Union([Type.Integer({ minimum: 1 }), Type.Null()]);

export const Fairness = Type.Object({
  sku: Sku,
  arrivals: Count,
  granted: Count,
  refused: Count,
  inversions: Type.Integer({
    minimum: 0,
    description: "Granted orders that overtook one refused, which would have fitted.",
  }),
  wronglyRefused: Type.Integer({ minimum: 0, description: "Refused orders for which there was enough." }),
  firstRefusedArrival: Ticket,
  lastGrantedArrival: Ticket,
  firstRefusedAt: Type.Union([Instant, Type.Null()]),
  compared: Count,
  complete: Type.Boolean(),
});

export const SkuInPath = Type.Object({ sku: Sku });
