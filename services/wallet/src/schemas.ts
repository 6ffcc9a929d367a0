/** What the wallet's routes take and answer. */

import { BuyerId, OrderId } from "@onsale/contracts/ids";
import { AmountMinor, Currency, maximumAmountMinor } from "@onsale/contracts/money";
import { Instant } from "@onsale/contracts/time";
import { type TSchema, Type } from "typebox";
import { wholeBasisPoints } from "./lot.ts";

const Nullable = <Schema extends TSchema>(schema: Schema) => Type.Union([schema, Type.Null()]);

/** An amount that moves: nothing is no movement. */
export const Amount = Type.Integer({
  minimum: 1,
  maximum: maximumAmountMinor,
  description: "Points, in the currency's minor unit.",
});

const words = { pattern: "^[^\\u0000-\\u001f\\u007f]+$", minLength: 1 } as const;
const Reason = Type.String({ ...words, maxLength: 200, description: "Why, for those who look at it later." });

const Bearers = Type.Array(
  Type.Object({
    bearer: Type.String({ ...words, maxLength: 64, description: "Who pays, as the shop's books name it." }),
    basisPoints: Type.Integer({ minimum: 1, maximum: wholeBasisPoints, description: "Hundredths of a percent." }),
  }),
  // A promotion is shared by a few parties; the split is made for every order that used the points.
  { minItems: 1, maxItems: 8, description: "Who bears the cost, in shares that add up to 10,000. Default: the shop." },
);
const EndsAt = Type.Optional(
  Nullable(Type.Unsafe<Instant>({ ...Instant, description: "When the points end; absent or null: never." })),
);

const Uuid = Type.String({
  pattern: "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$",
  description: "A UUID in lower case.",
});

const Batch = { batchId: Uuid, currency: Currency, faceMinor: Amount };

/** Within this many days is soon: time for one more order. */
export const soonDays = 30;

export const WalletView = Type.Object({
  balances: Type.Array(
    Type.Object({
      currency: Currency,
      availableMinor: AmountMinor,
      heldMinor: Type.Integer({ minimum: 0, description: "Set aside for orders that have not ended." }),
      debtMinor: Type.Integer({ minimum: 0, description: "Owed; what comes in pays it first." }),
      endingSoonMinor: Type.Integer({
        minimum: 0,
        description: `Of what is available, what ends within ${soonDays} days.`,
      }),
    }),
  ),
});

export const EntryWish = Type.Object({
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 100, default: 20 })),
  after: Type.Optional(
    Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER, description: "The `next` of the page before." }),
  ),
});

export const EntryPage = Type.Object({
  entries: Type.Array(
    Type.Object({
      position: Type.Integer(),
      kind: Type.String(),
      currency: Currency,
      availableMinor: Type.Integer({ description: "By how much what is available changed." }),
      heldMinor: Type.Integer(),
      debtMinor: Type.Integer(),
      orderId: Nullable(OrderId),
      at: Instant,
    }),
  ),
  next: Nullable(Type.Integer()),
});

export const GrantName = Type.String({ pattern: "^[a-z0-9]+(?:-[a-z0-9]+)*$", maxLength: 64 });
export const GrantWish = Type.Object({ name: GrantName });
export const GrantGiven = Type.Object({
  name: GrantName,
  day: Type.String({ description: "The calendar day in the grant's time zone." }),
  currency: Currency,
  amountMinor: Amount,
  expiresAt: Instant,
  availableMinor: AmountMinor,
});

export const GrantTerms = Type.Object({
  currency: Currency,
  amountMinor: Amount,
  timeZone: Type.String({ minLength: 1, maxLength: 64, description: "IANA name; its midnight begins the day." }),
  validDays: Type.Integer({ minimum: 1, maximum: 3_650 }),
  isOpen: Type.Boolean(),
});
export const Grant = Type.Object({ name: GrantName, ...GrantTerms.properties });

export const RedemptionWish = Type.Object({
  code: Type.String({ minLength: 20, maxLength: 40, pattern: "^[0-9A-Za-z -]+$" }),
  amountMinor: Type.Optional(Amount),
});
export const Redemption = Type.Object({
  currency: Currency,
  amountMinor: Amount,
  remainingMinor: Type.Integer({ minimum: 0, description: "What is left in the voucher." }),
  expiresAt: Nullable(Instant),
  availableMinor: AmountMinor,
});

export const CreditWish = Type.Object({
  currency: Currency,
  amountMinor: Amount,
  reason: Reason,
  expiresAt: EndsAt,
  bearers: Type.Optional(Bearers),
});
export const CreditGiven = Type.Object({
  creditId: Uuid,
  accountId: BuyerId,
  currency: Currency,
  amountMinor: Amount,
  availableMinor: AmountMinor,
});

export const VoucherWish = Type.Object({
  currency: Currency,
  faceMinor: Amount,
  // A request that answers within a second, and an answer that a person can still handle.
  count: Type.Integer({ minimum: 1, maximum: 1_000 }),
  reason: Reason,
  expiresAt: EndsAt,
  bearers: Type.Optional(Bearers),
});
export const VouchersIssued = Type.Object({
  ...Batch,
  codes: Type.Array(Type.String(), {
    description: "Shown this once: only their hashes are stored. Empty in a replay; void the batch and issue another.",
  }),
});

export const BatchPath = Type.Object({ batchId: Uuid });
export const VoucherBatchView = Type.Object({
  ...Batch,
  voucherCount: Type.Integer(),
  bearers: Bearers,
  reason: Reason,
  expiresAt: Nullable(Instant),
  issuedAt: Instant,
  voidedAt: Nullable(Instant),
  openCount: Type.Integer({ description: "Vouchers with something left." }),
  remainingMinor: Type.Integer({ description: "What is left in all of them." }),
});

export const AccountPath = Type.Object({ accountId: BuyerId });
export const AccountWallet = Type.Object({
  ...WalletView.properties,
  lots: Type.Array(
    Type.Object({
      lotId: Type.String(),
      currency: Currency,
      source: Type.String(),
      bearers: Bearers,
      remainingMinor: Type.Integer(),
      expiresAt: Nullable(Instant),
    }),
    { description: "What the balances are made of, the first to end in front; 200 at most." },
  ),
});

export const OrderPath = Type.Object({ orderId: OrderId });
export const OrderPointsView = Type.Object({
  orderId: OrderId,
  personId: BuyerId,
  currency: Currency,
  amountMinor: AmountMinor,
  state: Type.String(),
  parts: Type.Array(
    Type.Object({
      source: Type.String(),
      amountMinor: AmountMinor,
      givenBackMinor: AmountMinor,
      expiresAt: Nullable(Instant),
      borneBy: Type.Array(Type.Object({ bearer: Type.String(), amountMinor: AmountMinor }), {
        description: "Who bears how much of what was not given back.",
      }),
    }),
  ),
});
