/** The shapes of requests and answers about orders. */

import { BuyerId, HoldId, OrderId, ReturnId, Sku } from "@onsale/contracts/ids";
import {
  AmountMinor,
  Currency,
  maximumAmountMinor,
  maximumPriceMinor,
  PriceMinor,
  Units,
} from "@onsale/contracts/money";
import { maximumLines, OrderEndReason, PaymentMethod } from "@onsale/contracts/orders";
import { Instant } from "@onsale/contracts/time";
import { Type } from "typebox";
import { ShownReturn, WantedLine } from "./return-schemas.ts";

const nullable = <Schema extends Parameters<typeof Type.Union>[0][number]>(schema: Schema) =>
  Type.Union([schema, Type.Null()]);

const BasketLine = Type.Object({
  sku: Sku,
  quantity: Units,
  unitPriceMinor: Type.Optional(
    Type.Integer({
      minimum: 0,
      maximum: maximumPriceMinor,
      description: "What the buyer saw. Where a unit costs something else now, nothing is ordered.",
    }),
  ),
});

// `maxItems` is left out on purpose: too many lines have a code of their own, and the size of a body bounds the array.
const WantedLines = Type.Array(BasketLine, {
  minItems: 1,
  description: `At most ${maximumLines}. Lines of one SKU become one, with the sum of their quantities.`,
});

const Payment = Type.Object({
  method: PaymentMethod,
  pointsMinor: Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: maximumAmountMinor,
      description: "With `split` only, and there required: the part that is paid with points; the card pays the rest.",
    }),
  ),
});

export const NewOrder = Type.Object({
  currency: Currency,
  lines: WantedLines,
  payment: Payment,
  holdIds: Type.Optional(
    Type.Array(HoldId, { maxItems: maximumLines, description: "Holds that the buyer has already." }),
  ),
});

/** Orders of one batch: what a till gathers in an hour without a line, and what one transaction decides. */
const maximumBatch = 1_000;

export const BatchOrder = Type.Object({
  idempotencyKey: Type.String({
    minLength: 1,
    maxLength: 255,
    pattern: "^[\\x21-\\x7e](?:[\\x20-\\x7e]*[\\x21-\\x7e])?$",
  }),
  buyerId: Type.Optional(BuyerId),
  currency: Currency,
  lines: WantedLines,
  payment: Payment,
});

export const OrderBatch = Type.Object({ orders: Type.Array(BatchOrder, { minItems: 1, maxItems: maximumBatch }) });

const OrderStatus = Type.Union([
  Type.Literal("PENDING"),
  Type.Literal("CONFIRMED"),
  Type.Literal("REJECTED"),
  Type.Literal("CANCELLED"),
]);

export const PlacedOrder = Type.Object({ orderId: OrderId, status: Type.Literal("PENDING") });

const BatchProblem = Type.Object({
  status: Type.Integer(),
  code: Type.String(),
  title: Type.String(),
  detail: Type.String(),
  retryable: Type.Boolean(),
});

export const BatchResults = Type.Object({
  results: Type.Array(Type.Union([PlacedOrder, Type.Object({ problem: BatchProblem })]), {
    description: "One for each order, in their order.",
  }),
});

const orderFields = {
  orderId: OrderId,
  status: OrderStatus,
  /** Null unless the order ended without being fulfilled. */
  reason: nullable(OrderEndReason),
  totalMinor: AmountMinor,
  currency: Currency,
  payment: Type.Object({ method: PaymentMethod, pointsMinor: AmountMinor }),
  /** By card, and given back to it. */
  paidMinor: AmountMinor,
  refundedMinor: AmountMinor,
  /** With points, and given back as points. */
  paidPointsMinor: AmountMinor,
  refundedPointsMinor: AmountMinor,
  placedAt: Instant,
};

const Allocation = Type.Object({
  kind: Type.Union([Type.Literal("DISCOUNT"), Type.Literal("TAX"), Type.Literal("POINTS"), Type.Literal("CARD")]),
  borneBy: Type.String(),
  amountMinor: AmountMinor,
});

export const OrderSummary = Type.Object(orderFields);

export const OrderDetails = Type.Object({
  ...orderFields,
  lines: Type.Array(
    Type.Object({
      sku: Sku,
      quantity: Units,
      unitPriceMinor: PriceMinor,
      returnedQuantity: Type.Integer({ minimum: 0, description: "Pieces of the quantity that came back." }),
      allocations: Type.Array(Allocation, {
        description: "Who bears the price. What is neither discounted nor paid with points is the card's.",
      }),
    }),
  ),
  returns: Type.Array(ShownReturn, { description: "What came back, is to come back, or was cancelled of it." }),
});

/** A page that a phone shows at once, and a script follows. */
const maximumPage = 100;

export const PageWish = Type.Object({
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: maximumPage, default: 20 })),
  after: Type.Optional(OrderId),
});

export const OrderPage = Type.Object({
  orders: Type.Array(OrderSummary),
  next: nullable(OrderId),
});

export const OrderPath = Type.Object({ orderId: OrderId });

export const CancelWish = Type.Union([
  Type.Null(),
  Type.Object({
    lines: Type.Optional(
      Type.Array(WantedLine, {
        minItems: 1,
        maxItems: maximumLines,
        description: "Only these pieces; the order stays confirmed without them. Absent: the whole order.",
      }),
    ),
  }),
]);

export const CancelAnswer = Type.Object({
  orderId: OrderId,
  status: OrderStatus,
  /** Of a part: under which id it is given back, and what with. */
  returnId: Type.Optional(ReturnId),
  refundMinor: Type.Optional(AmountMinor),
  pointsMinor: Type.Optional(AmountMinor),
  currency: Type.Optional(Currency),
});
