import type { Database, Transaction } from "@onsale/postgres";
import type { OutgoingEvent } from "../events/event.ts";
import { bulkRowCap, publish } from "./publish.ts";

/**
 * Publishes a large work in the bulk lane, in transactions of at most `bulkRowCap` items, one after the other. `work` changes
 * what its items change, with the rows of their keys locked, and gives at most one event for each. What was committed
 * stays when a later part fails: the caller remembers how far it came, in `work` itself, if it must not begin anew.
 */
export async function publishInBulk<Item>(
  database: Database,
  items: Iterable<Item> | AsyncIterable<Item>,
  work: (tx: Transaction, part: readonly Item[]) => Promise<readonly OutgoingEvent[]>,
): Promise<{ transactions: number; events: number }> {
  const done = { transactions: 0, events: 0 };
  for await (const part of partsOf(items, bulkRowCap)) {
    done.events += await database.transaction(async (tx) => {
      const events = (await work(tx, part)).map((event) => ({ ...event, lane: "bulk" as const }));
      await publish(tx, events);
      return events.length;
    });
    done.transactions++;
  }
  return done;
}

async function* partsOf<Item>(items: Iterable<Item> | AsyncIterable<Item>, size: number): AsyncGenerator<Item[]> {
  let part: Item[] = [];
  for await (const item of items) {
    part.push(item);
    if (part.length < size) continue;
    yield part;
    part = [];
  }
  if (part.length > 0) yield part;
}
