/** Every event of the product by the service that owns it: what the composition, the flow map and the documents are made from. */

import type { EventDefinition } from "@onsale/messaging";
import * as accounts from "./accounts.ts";
import * as catalog from "./catalog.ts";
import * as inventory from "./inventory.ts";
import * as orders from "./orders.ts";
import * as payments from "./payments.ts";
import * as wallet from "./wallet.ts";

const isEvent = (value: unknown): value is EventDefinition =>
  typeof value === "object" && value !== null && "aggregate" in value && "sample" in value;

/** By type, whatever order a module's names come in. */
const eventsIn = (file: object): readonly EventDefinition[] =>
  Object.values(file)
    .filter(isEvent)
    .sort((one, other) => (one.type < other.type ? -1 : 1));

export const eventsByOwner = {
  accounts: eventsIn(accounts),
  catalog: eventsIn(catalog),
  inventory: eventsIn(inventory),
  orders: eventsIn(orders),
  payments: eventsIn(payments),
  wallet: eventsIn(wallet),
} as const;
