import { array, bigint, nullable, sql, type Transaction, text } from "@onsale/postgres";
import { aggregateOf, type Delivered } from "./event.ts";

const claimSql = sql("messaging.claim-inbox", {
  takes: [text, array(text), array(text), array(bigint)],
  gives: { aggregate: text, key: text, before: nullable(bigint) },
})`
  insert into inbox as seen (reader, aggregate, key, sequence)
  select $1, aggregate, key, sequence from unnest($2::text[], $3::text[], $4::bigint[]) as event(aggregate, key, sequence)
  on conflict (reader, aggregate, key) do update set sequence = excluded.sequence where seen.sequence < excluded.sequence
  returning seen.aggregate, seen.key, old.sequence as before`;

/**
 * Claims events for a reader in the transaction of their effects, and gives those that it had not had yet. What counts is
 * the highest sequence per key, kept for ever, so that no redelivery is ever late enough to act twice.
 */
export async function claimFresh<Event extends Pick<Delivered, "type" | "key" | "sequence">>(
  tx: Transaction,
  reader: string,
  events: readonly Event[],
): Promise<Event[]> {
  if (events.length === 0) return [];
  const highest = new Map<string, { aggregate: string; key: string; sequence: number }>();
  for (const event of events) {
    const name = inboxKey(event);
    const before = highest.get(name);
    if (!before || before.sequence < event.sequence)
      highest.set(name, { aggregate: aggregateOf(event.type), key: event.key, sequence: event.sequence });
  }
  // Sorted, so that two claims over the same keys wait for each other instead of deadlocking.
  const claims = [...highest.entries()].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, claim]) => claim);
  const rows = await tx.query(claimSql, [
    reader,
    claims.map((claim) => claim.aggregate),
    claims.map((claim) => claim.key),
    claims.map((claim) => claim.sequence),
  ]);
  const before = new Map(rows.map((row) => [`${row.aggregate} ${row.key}`, row.before ?? 0]));
  const had = new Set<string>();
  return events.filter((event) => {
    const seen = before.get(inboxKey(event));
    const once = `${inboxKey(event)} ${event.sequence}`;
    if (seen === undefined || event.sequence <= seen || had.has(once)) return false;
    had.add(once);
    return true;
  });
}

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
