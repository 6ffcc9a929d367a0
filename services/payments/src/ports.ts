import type { BasePorts } from "@onsale/messaging";
import type { CardProvider } from "./provider.ts";

/** When the provider is asked again about what nobody knows, in milliseconds. */
export interface AskingAgain {
  /** After the first lost answer. */
  readonly firstMs: number;
  /** The wait doubles with each try up to this. */
  readonly longestMs: number;
  /** A payment that is unsettled for longer than this is a case for a person. */
  readonly overdueMs: number;
}

export type PaymentsPorts = BasePorts & {
  readonly provider: CardProvider;
  /** Secrets with which the provider may sign its webhooks, `whsec_` and base64: while one is being replaced, both. */
  readonly webhookSecrets: readonly string[];
  readonly askingAgain: AskingAgain;
};

const minute = 60_000;

/** What production should use: a provider needs some minutes to sort out its own trouble. */
export const patientAsking: AskingAgain = { firstMs: 5 * minute, longestMs: 60 * minute, overdueMs: 24 * 60 * minute };

/** What a demonstration or a drill should use: seconds. */
export const eagerAsking: AskingAgain = { firstMs: 2_000, longestMs: 10_000, overdueMs: 5 * minute };
