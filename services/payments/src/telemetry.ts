import { defineFact, defineGauge } from "@onsale/runtime";

export const telemetry = {
  authorised: defineFact("payment authorised", { counter: "onsale_payment_authorised_total" }),
  declined: defineFact("payment declined", { counter: "onsale_payment_declined_total" }),
  captured: defineFact("payment captured", { counter: "onsale_payment_captured_total" }),
  captureRefused: defineFact("capture refused", { counter: "onsale_payment_capture_refused_total", level: "warn" }),
  reversing: defineFact("payment is being reversed", { counter: "onsale_payment_reversing_total" }),
  reversed: defineFact("payment reversed", { counter: "onsale_payment_reversed_total" }),
  refunded: defineFact("payment refunded", { counter: "onsale_payment_refunded_total" }),
  incident: defineFact("payment did not go straight", {
    counter: "onsale_payment_incident_total",
    labels: ["what"],
    level: "info",
  }),
  askedAgain: defineFact("provider asked again", { counter: "onsale_payment_asked_again_total", labels: ["answer"] }),
  rerouted: defineFact("payments that had not left were given to another provider", {
    counter: "onsale_payment_rerouted_total",
    labels: ["to"],
  }),
  overdue: defineFact("payment is unsettled for too long", { counter: "onsale_payment_overdue_total", level: "error" }),
  forgotten: defineFact("payment had an open question that nobody asked", {
    counter: "onsale_payment_forgotten_total",
    level: "error",
  }),
  providerCircuit: defineFact("circuit at the card provider", {
    counter: "onsale_payment_provider_circuit_total",
    labels: ["provider", "state"],
    level: "warn",
  }),
  providerDown: defineFact("card provider is down by the anomaly rule", {
    counter: "onsale_payment_provider_down_total",
    labels: ["provider", "why"],
    level: "error",
  }),
  providerSwitched: defineFact("new card payments go to another provider", {
    counter: "onsale_payment_provider_switched_total",
    labels: ["from", "to", "why"],
    level: "warn",
  }),
  providerRecovered: defineFact("card provider answers again", {
    counter: "onsale_payment_provider_recovered_total",
    labels: ["provider"],
    level: "warn",
  }),
  ledgersDiffer: defineFact("our ledger and a provider's differ", {
    counter: "onsale_payment_ledgers_differ_total",
    labels: ["kind", "provider"],
    level: "warn",
  }),
  webhookReceived: defineFact("webhook event received", {
    counter: "onsale_payment_webhook_total",
    labels: ["result"],
  }),
  webhookForged: defineFact("webhook refused: not signed by the provider", {
    counter: "onsale_payment_webhook_forged_total",
    level: "warn",
  }),
  webhookMismatch: defineFact("webhook event does not fit our payment", {
    counter: "onsale_payment_webhook_mismatch_total",
    level: "error",
  }),
};

/** What the last look at the unsettled payments of this process's database found. */
export const unsettledNow = { count: 0, oldestSeconds: 0 };
defineGauge("onsale_payment_unsettled", "payments whose outcome at the provider is unknown", () => unsettledNow.count);
defineGauge(
  "onsale_payment_unsettled_oldest_seconds",
  "how long the oldest of the unsettled payments has been so",
  () => unsettledNow.oldestSeconds,
);
