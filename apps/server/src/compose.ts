import { accounts, type OperatorLogIn } from "@onsale/accounts";
import { eventsByOwner } from "@onsale/contracts/events";
import type { TokenSigner } from "@onsale/http";
import { inventory } from "@onsale/inventory";
import type { BasePorts, EventDefinition } from "@onsale/messaging";
import { httpSender, localSender, notifications } from "@onsale/notifications";
import { ids } from "@onsale/runtime";
import { type HostedService, host } from "./hosted-service.ts";

/** What the services are given from outside: addresses and secrets of others, and ours. */
export interface Wiring {
  /** Where this server is reached by the payment provider's webhooks. */
  readonly url: string;
  readonly tokens: TokenSigner;
  readonly operator: OperatorLogIn;
  readonly provider: { readonly url: string; readonly apiSecret: string; readonly webhookSecret: string };
  /** Where messages to the shop's people go (a chat's incoming webhook); absent: they stay in their table. */
  readonly chatUrl?: string;
}

/** Every service of the shop with its ports: the one place that knows all of them. */
export function compose({ tokens, operator, chatUrl }: Wiring): readonly HostedService[] {
  return [
    host(accounts, { ...base, tokens, operator }, ownerOf),
    host(inventory, base, ownerOf),
    host(
      notifications,
      { ...base, sender: chatUrl === undefined ? localSender : httpSender({ url: chatUrl }) },
      ownerOf,
    ),
  ];
}

const base: BasePorts = { ids, clock: { now: () => new Date().toISOString() } };

const owners: ReadonlyMap<string, string> = new Map(
  Object.entries(eventsByOwner).flatMap(([owner, events]) => events.map(({ type }) => [type, owner] as const)),
);

/** The service that tells this type of event; its outbox is where consumers read it. */
function ownerOf({ type }: EventDefinition): string {
  const owner = owners.get(type);
  if (owner === undefined) throw new Error(`No service owns ${type}: it is missing in contracts/events.ts.`);
  return owner;
}
