import { type Static, Type } from "typebox";

const brandedUuid = <Kind extends string>(kind: Kind) =>
  Type.Unsafe<string & { readonly __kind?: Kind }>(
    Type.String({
      pattern: "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$",
      description: `${kind} id, a UUID in lower case.`,
    }),
  );

/** A person who has an account, or a guest. */
export const BuyerId = brandedUuid("buyer");
export type BuyerId = Static<typeof BuyerId>;

export const OrderId = brandedUuid("order");
export type OrderId = Static<typeof OrderId>;

export const HoldId = brandedUuid("hold");
export type HoldId = Static<typeof HoldId>;

export const PaymentId = brandedUuid("payment");
export type PaymentId = Static<typeof PaymentId>;

export const ReturnId = brandedUuid("return");
export type ReturnId = Static<typeof ReturnId>;

/** A merchant's own code of one sellable thing, taken as written: case and inner spaces count, control characters do not pass. */
export const Sku = Type.Unsafe<string & { readonly __kind?: "sku" }>(
  Type.String({
    minLength: 1,
    maxLength: 64,
    pattern: "^[^\\u0000-\\u001f\\u007f]+$",
    description: "Stock-keeping unit, as the merchant writes it.",
  }),
);
export type Sku = Static<typeof Sku>;
