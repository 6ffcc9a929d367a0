/** The shapes of requests and answers about returns. */

import { BuyerId, OrderId, ReturnId, Sku } from "@onsale/contracts/ids";
import { AmountMinor, Currency, Units } from "@onsale/contracts/money";
import { maximumLines, ReturnDamage, ReturnLapse, ReturnRefusal } from "@onsale/contracts/orders";
import { Instant } from "@onsale/contracts/time";
import { Type } from "typebox";

const nullable = <Schema extends Parameters<typeof Type.Union>[0][number]>(schema: Schema) =>
  Type.Union([schema, Type.Null()]);

export const WantedLine = Type.Object({ sku: Sku, quantity: Units });
export const ReturnPath = Type.Object({ returnId: ReturnId });

export const ReturnWish = Type.Object({ lines: Type.Array(WantedLine, { minItems: 1, maxItems: maximumLines }) });

const ReturnStatus = Type.Union(
  [Type.Literal("REQUESTED"), Type.Literal("ACCEPTED"), Type.Literal("REFUSED"), Type.Literal("LAPSED")],
  {
    description:
      "Whether somebody has still to look at it, and what came of it. Of an accepted one a part may be refused.",
  },
);

export const ReturnAnswer = Type.Object({
  orderId: OrderId,
  returnId: ReturnId,
  status: ReturnStatus,
  /** To the card. */
  refundMinor: AmountMinor,
  pointsMinor: AmountMinor,
  currency: Currency,
  lapsesAt: nullable(Instant),
});

const Pieces = Type.Integer({ minimum: 0 });

const shownFields = {
  returnId: ReturnId,
  kind: Type.Union([Type.Literal("RETURN"), Type.Literal("CANCELLATION")]),
  status: ReturnStatus,
  requestedAt: Instant,
  lapsesAt: nullable(Instant),
  endedAt: nullable(Instant),
  /** Why it lapsed. */
  reason: nullable(ReturnLapse),
  refundMinor: AmountMinor,
  pointsMinor: AmountMinor,
  lines: Type.Array(
    Type.Object({
      sku: Sku,
      quantity: Units,
      acceptedQuantity: Pieces,
      refused: Type.Array(Type.Object({ quantity: Units, reason: ReturnRefusal })),
    }),
  ),
};

/** A return as its buyer sees it, within the order. */
export const ShownReturn = Type.Object(shownFields);

// An inspection is a few kinds of findings of each line.
const maximumFindings = 8 * maximumLines;

const Taken = Type.Union([Type.Literal("GOOD"), ...ReturnDamage.anyOf]);
const Finding = Type.Union(
  [
    Type.Object({ sku: Sku, quantity: Units, verdict: Taken }),
    Type.Object({ sku: Sku, quantity: Units, verdict: Type.Literal("REFUSED"), reason: ReturnRefusal }),
  ],
  {
    description:
      "GOOD goes back on the shelf. Quarantined and written-off pieces are paid back too, refused ones are not.",
  },
);

export const InspectionReport = Type.Object({
  lines: Type.Array(Finding, {
    minItems: 1,
    maxItems: maximumFindings,
    description: "What was found of everything that was to come back, also that it was not in the parcel.",
  }),
  note: Type.Optional(Type.String({ minLength: 1, maxLength: 1_000 })),
});

export const ReturnForOperator = Type.Object({
  ...shownFields,
  orderId: OrderId,
  inspectedBy: nullable(BuyerId),
  note: nullable(Type.String()),
  findings: Type.Array(
    Type.Object({
      sku: Sku,
      quantity: Units,
      verdict: Type.Union([Taken, Type.Literal("REFUSED")]),
      reason: nullable(ReturnRefusal),
    }),
  ),
});

export const OpenReturns = Type.Object({ returns: Type.Array(ReturnForOperator), next: nullable(ReturnId) });

/** What a person works through before asking again. */
const maximumPage = 100;

export const OpenReturnsWish = Type.Object({
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: maximumPage, default: 20 })),
  after: Type.Optional(ReturnId),
});

const policyFields = {
  inspect: Type.Boolean({ description: "Whether somebody looks at what comes back before it is paid for." }),
  lapseAfterDays: Type.Integer({
    minimum: 1,
    maximum: 365,
    description: "Days after which a return that nobody has looked at lapses.",
  }),
};

export const ReturnPolicyWish = Type.Object(policyFields);
export const ReturnPolicy = Type.Object({
  ...policyFields,
  version: Type.Integer({ minimum: 1 }),
  changedBy: nullable(BuyerId),
  changedAt: Instant,
});
