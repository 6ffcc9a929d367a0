/** Who hears what, as the services declare it: the audit checks that every one of these has heard everything. */

import { accounts } from "@onsale/accounts";
import { catalog } from "@onsale/catalog";
import { eventsByOwner } from "@onsale/contracts/events";
import { inventory } from "@onsale/inventory";
import type { EventDefinition } from "@onsale/messaging";
import { notifications } from "@onsale/notifications";
import { orders, type SagaStyle } from "@onsale/orders";
import { payments } from "@onsale/payments";
import type { ServiceDefinition } from "@onsale/runtime";
import { wallet } from "@onsale/wallet";

/** What the audit knows of a service. */
type Service = Pick<ServiceDefinition, "name" | "migrations"> & {
  readonly consumers: readonly Listener[];
  readonly choreographed: readonly Listener[];
};

interface Listener {
  readonly kind: "batch" | "each";
  readonly name: string;
  readonly on: readonly EventDefinition[];
}

export const services: readonly Service[] = [accounts, catalog, inventory, orders, payments, wallet, notifications];

/** The services that tell something. */
export const owners: readonly string[] = Object.entries(eventsByOwner).flatMap(([owner, events]) =>
  events.length > 0 ? [owner] : [],
);

/** One reader of one source: where its inbox is, and the types that it hears. */
export interface Subscription {
  readonly schema: string;
  readonly reader: string;
  readonly source: string;
  readonly types: readonly string[];
  readonly aggregates: readonly string[];
}

/** By who leads the orders' steps. */
export const subscriptions: Readonly<Record<SagaStyle, readonly Subscription[]>> = {
  orchestrated: services.flatMap(({ name, consumers }) => subscriptionsOf(name, consumers)),
  choreographed: services.flatMap(({ name, choreographed }) => subscriptionsOf(name, choreographed)),
};

/** All batch consumers of a service read as one; each of the others for itself. */
function subscriptionsOf(schema: string, consumers: readonly Listener[]): Subscription[] {
  const readers = Map.groupBy(consumers, ({ kind, name }) => (kind === "batch" ? schema : name));
  return [...readers].flatMap(([reader, own]) => {
    const bySource = Map.groupBy(
      own.flatMap(({ on }) => on),
      ownerOf,
    );
    return [...bySource].map(([source, definitions]) => ({
      schema,
      reader,
      source,
      types: [...new Set(definitions.map(({ type }) => type))],
      aggregates: [...new Set(definitions.map(({ aggregate }) => aggregate))],
    }));
  });
}

function ownerOf({ type }: EventDefinition): string {
  const [owner] = Object.entries(eventsByOwner).find(([, events]) => events.some((event) => event.type === type)) ?? [];
  if (owner === undefined) throw new Error(`No service owns ${type}.`);
  return owner;
}
