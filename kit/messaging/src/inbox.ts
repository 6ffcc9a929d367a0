import { array, bigint, nullable, sql, type Transaction, text } from "@onsale/postgres";
import { aggregateOf, type Delivered } from "./event.ts";

const claimSql = sql("messaging.claim-inbox", {
  takes: [text, text, array(text), array(bigint)],
  gives: { key: text, before: nullable(bigint) },
})`
  insert into inbox as seen (reader, aggregate, key, sequence)
  select $1, $2, key, sequence from unnest($3::text[], $4::bigint[]) as event(key, sequence)
  on conflict (reader, aggregate, key) do update set sequence = excluded.sequence where seen.sequence < excluded.sequence
  returning seen.key, old.sequence as before`;

/**
 * Claims events for a reader in the transaction of their effects, and gives those that it had not had yet. What counts is
 * the highest sequence per key, kept for ever, so that no redelivery is ever late enough to act twice.
 */
export async function claimFresh<Event extends Pick<Delivered, "type" | "key" | "sequence">>(
  tx: Transaction,
  reader: string,
  events: readonly Event[],
): Promise<Event[]> {
  const before = await claim(tx, reader, highestOfEach(events));
  const had = new Set<string>();
  return events.filter((event) => {
    const seen = before.get(inboxKey(event));
    const once = `${inboxKey(event)} ${event.sequence}`;
    if (seen === undefined || event.sequence <= seen || had.has(once)) return false;
    had.add(once);
    return true;
  });
}

/** The highest sequence of each key, by aggregate. */
function highestOfEach(
  events: readonly Pick<Delivered, "type" | "key" | "sequence">[],
): Map<string, Map<string, number>> {
  const highest = new Map<string, Map<string, number>>();
  for (const { type, key, sequence } of events) {
    const aggregate = aggregateOf(type);
    const keys = highest.get(aggregate) ?? new Map<string, number>();
    highest.set(aggregate, keys);
    keys.set(key, Math.max(keys.get(key) ?? 0, sequence));
  }
  return highest;
}

/**
 * Gives the sequence that was known of each key whose sequence rises, 0 for none, by `inboxKey`. A statement for each
 * aggregate, of which a batch has one or two, so that only keys and sequences travel.
 */
async function claim(
  tx: Transaction,
  reader: string,
  highest: ReadonlyMap<string, ReadonlyMap<string, number>>,
): Promise<Map<string, number>> {
  // Sorted, so that two claims over the same keys wait for each other instead of deadlocking.
  const claimed = await Promise.all(
    [...highest].sort(byName).map(async ([aggregate, sequences]) => {
      const keys = [...sequences].sort(byName);
      const rows = await tx.query(claimSql, [
        reader,
        aggregate,
        keys.map(([key]) => key),
        keys.map(([, sequence]) => sequence),
      ]);
      return rows.map(({ key, before }) => [`${aggregate} ${key}`, before ?? 0] as const);
    }),
  );
  return new Map(claimed.flat());
}

const byName = ([one]: readonly [string, unknown], [other]: readonly [string, unknown]): number =>
  one < other ? -1 : 1;

const seenSql = sql("messaging.seen-in-inbox", {
  takes: [text, array(text), array(text)],
  gives: { aggregate: text, key: text, sequence: bigint },
})`
  select event.aggregate, event.key, seen.sequence
  from unnest($2::text[], $3::text[]) as event(aggregate, key)
  cross join lateral (
    select sequence from inbox where reader = $1 and aggregate = event.aggregate and key = event.key limit 1
  ) as seen`;

/** Those of the events that the reader has not had, without claiming them. */
export async function unseen(tx: Transaction, reader: string, events: readonly Delivered[]): Promise<Delivered[]> {
  if (events.length === 0) return [];
  const rows = await tx.query(seenSql, [
    reader,
    events.map((event) => aggregateOf(event.type)),
    events.map((event) => event.key),
  ]);
  const seen = new Map(rows.map((row) => [`${row.aggregate} ${row.key}`, row.sequence]));
  return events.filter((event) => event.sequence > (seen.get(inboxKey(event)) ?? 0));
}

/** The key of an event among all aggregates. */
export const inboxKey = (event: Pick<Delivered, "type" | "key">): string => `${aggregateOf(event.type)} ${event.key}`;
