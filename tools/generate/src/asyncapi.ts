import { eventsByOwner } from "@onsale/contracts/events";
import { asyncApi } from "@onsale/messaging";
import type { House } from "@onsale/tidy";
import { meaningsOf, services } from "./events.ts";

const description =
  "Facts that one service tells the others. Each lane of a service is a channel; with `ONSALE_KAFKA` it is a topic of " +
  "Kafka, and events are CloudEvents 1.0 in binary mode; without, consumers read the service's outbox tables.";

/** The events of the product as AsyncAPI 3.0. */
export function asyncApiPage(house: House, version: string): string {
  const meanings = meaningsOf(house);
  const document = asyncApi({
    title: "Onsale's events",
    version,
    description,
    tells: eventsByOwner,
    hears: services,
    meaningOf: (type) => meanings.get(type),
    topicOf: (source, lane) => `onsale.${source}.${lane}`,
  });
  return `${JSON.stringify(document, null, 2)}\n`;
}
