/** What the provider's answers and webhooks look like. It may add fields without asking its merchants, so the shapes are open. */

import { AmountMinor, Currency } from "@onsale/contracts/money";
import { type Static, Type } from "typebox";
import { Compile } from "typebox/compile";
import type { CancelOutcome, CaptureOutcome, QueryOutcome, Unknown } from "./provider.ts";

const open = { additionalProperties: true } as const;

/** One thing that the provider was asked, and answered for certain. */
export const Movement = Type.Object(
  {
    kind: Type.Union([
      Type.Literal("authorise"),
      Type.Literal("capture"),
      Type.Literal("cancel"),
      Type.Literal("refund"),
    ]),
    key: Type.String({ maxLength: 255 }),
    amountMinor: AmountMinor,
    refused: Type.Optional(Type.String({ maxLength: 255, description: "Why nothing was done. Absent when it was." })),
  },
  open,
);

/** The provider's payment. `reference` is our order's id. */
export const providerPaymentFields = {
  id: Type.String({ minLength: 1, maxLength: 64 }),
  reference: Type.String({ maxLength: 255 }),
  amountMinor: AmountMinor,
  currency: Currency,
};

export const doneReply = Compile(Type.Object({ id: providerPaymentFields.id }, open));
export const refusedReply = Compile(
  Type.Object({ error: Type.Object({ code: Type.String({ minLength: 1, maxLength: 255 }) }, open) }, open),
);
export const queryReply = Compile(
  Type.Object(
    { payments: Type.Array(Type.Object({ ...providerPaymentFields, movements: Type.Array(Movement) }, open)) },
    open,
  ),
);

export const statementReply = Compile(
  Type.Object(
    {
      lines: Type.Array(
        Type.Object(
          {
            ...Movement.properties,
            id: providerPaymentFields.id,
            reference: providerPaymentFields.reference,
            currency: Currency,
          },
          open,
        ),
        { maxItems: 1_000 },
      ),
      next: Type.Union([Type.String({ maxLength: 64 }), Type.Null()]),
    },
    open,
  ),
);

/** What a movement of the provider's payment `providerId` means, as the answer to the call that made it. */
export function outcomeOf(
  providerId: string,
  { kind, amountMinor, refused: reason }: Static<typeof Movement>,
): Exclude<QueryOutcome, Unknown | { kind: "not-found" }> {
  switch (kind) {
    case "authorise":
      return reason === undefined ? { kind: "authorised", providerId } : { kind: "declined", reason };
    case "capture":
      return reason === undefined ? { kind: "captured" } : captureRefused(reason);
    case "cancel":
      return reason === undefined ? { kind: "cancelled" } : cancelRefused(reason);
    case "refund":
      return reason === undefined ? { kind: "refunded", amountMinor } : { kind: "refused", reason };
    default:
      return kind satisfies never;
  }
}

/** A capture that is refused because it was done is done: there is one per payment, and it takes the whole. */
export const captureRefused = (reason: string): Exclude<CaptureOutcome, Unknown> =>
  reason === "already_captured" ? { kind: "captured" } : { kind: "refused", reason };

/** A cancel that is refused because nothing is set aside any more has what it wants; or it came too late. */
export function cancelRefused(reason: string): Exclude<CancelOutcome, Unknown> {
  if (reason === "already_captured") return { kind: "captured" };
  return reason === "already_cancelled" || reason === "already_declined"
    ? { kind: "cancelled" }
    : { kind: "refused", reason };
}
