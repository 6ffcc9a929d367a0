import type { BasePorts } from "@onsale/messaging";
import { type AnomalyRule, defaultAnomalyRule } from "./failover.ts";
import type { CardProvider } from "./provider.ts";

export { type AnomalyRule, defaultAnomalyRule };

/** A provider by the name that our books and our webhooks' addresses have for it. */
export interface NamedProvider {
  /** Lower-case letters, digits and hyphens; it is stored with every payment, so it never changes. */
  readonly name: string;
  readonly card: CardProvider;
  /** Secrets with which it may sign its webhooks, `whsec_` and base64: while one is being replaced, both. */
  readonly webhookSecrets: readonly string[];
}

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
  /** New payments go to the first, until the anomaly rule or an operator chooses another. */
  readonly providers: readonly NamedProvider[];
  readonly askingAgain: AskingAgain;
  readonly anomalies: AnomalyRule;
};

/** The provider that a payment was given to. Throws when it is not among ours any more. */
export function providerNamed(providers: readonly NamedProvider[], name: string | null): NamedProvider {
  const found = providers.find((it) => it.name === name);
  if (found === undefined) throw new Error(`There is no card provider ${name} here; known are ${namesOf(providers)}.`);
  return found;
}

const namesOf = (providers: readonly NamedProvider[]): string => providers.map(({ name }) => name).join(", ");

const minute = 60_000;

/** What production should use: a provider needs some minutes to sort out its own trouble. */
export const patientAsking: AskingAgain = { firstMs: 5 * minute, longestMs: 60 * minute, overdueMs: 24 * 60 * minute };

/** What a demonstration or a drill should use: seconds. */
export const eagerAsking: AskingAgain = { firstMs: 2_000, longestMs: 10_000, overdueMs: 5 * minute };
