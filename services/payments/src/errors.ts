import { defineErrors } from "@onsale/http";

export const errors = defineErrors("payments", {
  WEBHOOK_NOT_SIGNED: {
    title: "The message is not signed by the provider, or was signed too long ago.",
    retryable: false,
  },
  WEBHOOK_DOES_NOT_FIT: {
    title: "Some of the events do not fit our payments; the others were taken.",
    retryable: false,
  },
  PROVIDER_NOT_FOUND: { title: "There is no card provider of this name.", retryable: false },
  PROVIDER_DOWN: { title: "This card provider is down; new payments can't go to it.", retryable: true },
  RECONCILIATION_UNDER_WAY: { title: "The ledgers are being compared already.", retryable: true },
  RECONCILIATION_PERIOD: { title: "The period to compare does not begin at a moment of the past.", retryable: false },
  RECONCILIATION_NOT_FOUND: { title: "There is no such comparison of ledgers.", retryable: false },
  PAYMENT_NOT_FOUND: { title: "There is no payment for this order.", retryable: false },
});
