export { badDay, type FaultKind, type FaultReport, type FaultSettings, faultKinds, noFaults } from "./faults.ts";
export type {
  LedgerEnd,
  LedgerLine,
  LedgerPayment,
  MovementKind,
  MovementRecord,
  PaymentRecord,
  PaymentStatus,
} from "./ledger.ts";
export { ensureSecrets, type ProviderSecrets, readSecrets } from "./secrets.ts";
export {
  type ProviderBooks,
  type RunningProvider,
  type RunningProviders,
  readFaults,
  type StartProviderOptions,
  type StartProvidersOptions,
  setFaults,
  startProvider,
  startProviders,
  stopOrphan,
} from "./start-provider.ts";
export type { WebhookBody, WebhookEvent } from "./webhooks.ts";
