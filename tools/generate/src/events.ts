/** The events of the product: who tells them, who hears them, what they say. */

import { accounts } from "@onsale/accounts";
import { catalog } from "@onsale/catalog";
import { eventsByOwner } from "@onsale/contracts/events";
import { inventory } from "@onsale/inventory";
import { type EventDefinition, lanes } from "@onsale/messaging";
import { notifications } from "@onsale/notifications";
import { orders } from "@onsale/orders";
import { payments } from "@onsale/payments";
import type { House, Source } from "@onsale/tidy";
import { wallet } from "@onsale/wallet";
import { code, table } from "./markdown.ts";

/** One who hears, as the documents see it. */
export interface Hearer {
  readonly name: string;
  readonly kind: "batch" | "each";
  readonly on: readonly EventDefinition[];
}

const composed: readonly { name: string; consumers: readonly Hearer[]; choreographed: readonly Hearer[] }[] = [
  ...[accounts, catalog, inventory, notifications, orders, payments, wallet],
];

/** Every service by its name, with those in it who hear. */
export const services: Readonly<Record<string, readonly Hearer[]>> = Object.fromEntries(
  composed.map(({ name, consumers }) => [name, consumers]),
);

/** Those who hear others where nobody leads an order. */
const choreographed: readonly Hearer[] = composed.flatMap((service) =>
  service.choreographed.filter((hearer) => !service.consumers.includes(hearer)),
);

export function eventsPage(house: House): string {
  const meanings = meaningsOf(house);
  const hearers = Object.values(services).flat();
  const known = { hearers: [...hearers, ...choreographed], meanings };
  return [
    "# Events",
    "",
    "Every fact that one service tells the others, by its owner. All types with one first word share a key and count one",
    "sequence per key. Defined in `contracts/src`; heard by consumers in the services' `src/consumers.ts`.",
    ...Object.entries(eventsByOwner).flatMap(([owner, events]) => ownersPart(owner, events, known)),
    "",
    "## Who hears what",
    "",
    "A `batch` consumer decides in one transaction for all events it is given; an `each` consumer calls somebody outside.",
    "",
    ...table(["consumer", "kind", "hears"], hearers.map(hearing)),
    "",
    "Where nobody leads an order's steps (`ONSALE_SAGA=choreographed`), these hear others:",
    "",
    ...table(["consumer", "kind", "hears"], choreographed.map(hearing)),
    "",
  ].join("\n");
}

const hearing = ({ name, kind, on }: Hearer) => [code(name), kind, on.map(({ type }) => code(type)).join(" ")];

interface Known {
  readonly hearers: readonly Hearer[];
  readonly meanings: ReadonlyMap<string, string>;
}

function ownersPart(owner: string, events: readonly EventDefinition[], { hearers, meanings }: Known): string[] {
  const heardBy = ({ type }: EventDefinition) =>
    new Set(hearers.filter(({ on }) => on.some((it) => it.type === type)).map(({ name }) => code(name)));
  const rows = events.map((event) => [
    code(event.type),
    meanings.get(event.type) ?? "",
    code(event.key),
    lanes.filter((lane) => event.lanes[lane]).join(", ") + (event.laneChange === "latest-wins" ? "; latest wins" : ""),
    event.personal.map(code).join(" "),
    [...heardBy(event)].join(" "),
  ]);
  return ["", `## ${owner}`, "", ...table(["type", "what it says", "key", "lanes", "personal", "heard by"], rows)];
}

/** What the comment above each definition says, by the event's type. */
export function meaningsOf({ sources }: House): Map<string, string> {
  return new Map(sources.filter(({ path }) => path.startsWith("contracts/src/")).flatMap(commentedDefinitions));
}

function commentedDefinitions(source: Source): [string, string][] {
  return source.comments.flatMap(({ type, value, end }) => {
    const [, defined] = /^\s*export const \w+ = defineEvent\("([^"]+)"/.exec(source.text.slice(end)) ?? [];
    return type === "Block" && defined !== undefined ? [[defined, plainText(value)]] : [];
  });
}

const plainText = (comment: string): string =>
  comment
    .replace(/^\*/, "")
    .split("\n")
    .map((line) => line.replace(/^\s*\*?\s*/, ""))
    .join(" ")
    .trim();
