/** What a webhook of the card provider says, and whether it may be believed. Pure. */

import type { OrderId } from "@onsale/contracts/ids";
import { type Static, Type } from "typebox";
import { Movement, outcomeOf, providerPaymentFields } from "./card-provider-shapes.ts";
import { type Answer, keyOf, type Payment } from "./payment.ts";

export const WebhookEvent = Type.Object(
  {
    id: Type.String({ minLength: 1, maxLength: 128, pattern: "^[\\x21-\\x7e]+$" }),
    data: Type.Object({ ...providerPaymentFields, movement: Movement }, { additionalProperties: true }),
  },
  // A provider adds fields without asking its merchants.
  { additionalProperties: true },
);
export type WebhookEvent = Static<typeof WebhookEvent>;

/** A full batch has a hundred; the bound is that of one transaction. */
export const WebhookBody = Type.Object(
  { events: Type.Array(WebhookEvent, { minItems: 1, maxItems: 500 }) },
  { additionalProperties: true },
);

export type Judgement =
  /** It answers the payment's open question. */
  | { readonly kind: "settles"; readonly orderId: OrderId; readonly movement: string; readonly answer: Answer }
  /** True, and known, or not asked for. */
  | { readonly kind: "noted" }
  | {
      readonly kind: "refused";
      readonly why: "UNKNOWN_ORDER" | "PROVIDER" | "AMOUNT" | "CURRENCY" | "KEY" | "PROVIDER_ID";
    };

/** Compares what an event of a provider says with our payment of the order that it names. A good signature does not make it true. */
export function judge({ data }: WebhookEvent, payment: Payment | undefined, provider: string): Judgement {
  if (payment === undefined) return { kind: "refused", why: "UNKNOWN_ORDER" };
  if (payment.provider !== provider) return { kind: "refused", why: "PROVIDER" };
  const { paymentId, ask } = payment;
  if (data.amountMinor !== payment.amountMinor) return { kind: "refused", why: "AMOUNT" };
  if (data.currency !== payment.currency) return { kind: "refused", why: "CURRENCY" };
  if (payment.providerId !== null && payment.providerId !== data.id) return { kind: "refused", why: "PROVIDER_ID" };
  if (!data.movement.key.startsWith(keyOf(paymentId, ""))) return { kind: "refused", why: "KEY" };
  if (ask === null || data.movement.key !== keyOf(paymentId, ask.movement)) return { kind: "noted" };
  if (data.movement.amountMinor !== ask.amountMinor) return { kind: "refused", why: "AMOUNT" };
  return {
    kind: "settles",
    orderId: payment.orderId,
    movement: ask.movement,
    answer: outcomeOf(data.id, data.movement),
  };
}
