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

type Claimable = Pick<Delivered, "type" | "key" | "sequence">;

/**
 * Claims events for a reader in the transaction of their effects, and gives those that it had not had yet. What counts is
 * the highest sequence per key, kept for ever, so that no redelivery is ever late enough to act twice.
 */
export async function claimFresh<Event extends Claimable>(
  tx: Transaction,
  reader: string,
  events: readonly Event[],
): Promise<readonly Event[]> {
  const fresh = await Promise.all(
    byAggregate(events).map(([aggregate, own]) => claimOfAggregate(tx, { reader, aggregate }, own)),
  );
  const [only] = fresh;
  if (only && fresh.length === 1) return only;
  const all = new Set(fresh.flat());
  return events.filter((event) => all.has(event));
}

async function claimOfAggregate<Event extends Claimable>(
  tx: Transaction,
  { reader, aggregate }: { readonly reader: string; readonly aggregate: string },
  events: readonly Event[],
): Promise<readonly Event[]> {
  const rows = await tx.query(claimSql, [reader, aggregate, ...highestPerKey(events)]);
  // Nearly always: each of another key, and nobody has had any.
  if (rows.length === events.length) return events;
  const before = new Map(rows.map((row) => [row.key, row.before ?? 0]));
  const had = new Set<string>();
  return events.filter(({ key, sequence }) => {
    const seen = before.get(key);
    const once = `${key} ${sequence}`;
    if (seen === undefined || sequence <= seen || had.has(once)) return false;
    had.add(once);
    return true;
  });
}

const noteSql = sql("messaging.note-in-inbox", { takes: [text, text, array(text), array(bigint)], gives: {} })`
  insert into inbox as seen (reader, aggregate, key, sequence)
  select $1, $2, key, sequence from unnest($3::text[], $4::bigint[]) as event(key, sequence)
  on conflict (reader, aggregate, key) do update set sequence = excluded.sequence where seen.sequence < excluded.sequence`;

/** Claims events for a reader that knows what is new of them: nothing is told of each. */
export async function claim(tx: Transaction, reader: string, events: readonly Claimable[]): Promise<void> {
  await Promise.all(
    byAggregate(events).map(([aggregate, own]) => tx.execute(noteSql, [reader, aggregate, ...highestPerKey(own)])),
  );
}

const seenSql = sql("messaging.seen-in-inbox", {
  takes: [text, text, array(text), array(bigint)],
  gives: { key: text, sequence: bigint },
})`
  select event.key, event.sequence
  from unnest($3::text[], $4::bigint[]) as event(key, sequence)
  cross join lateral (
    select from inbox
    where reader = $1 and aggregate = $2 and key = event.key and inbox.sequence >= event.sequence limit 1
  ) as seen`;

/** Those of the events that the reader has not had, without claiming them. Of those that it had, rows tell: as a rule none. */
export async function unseen<Event extends Claimable>(
  tx: Transaction,
  reader: string,
  events: readonly Event[],
): Promise<readonly Event[]> {
  const had = await Promise.all(
    byAggregate(events).map(async ([aggregate, own]) => {
      const [keys, sequences] = [own.map(({ key }) => key), own.map(({ sequence }) => sequence)];
      const rows = await tx.query(seenSql, [reader, aggregate, keys, sequences]);
      return rows.map(({ key, sequence }) => `${aggregate} ${key} ${sequence}`);
    }),
  );
  const seen = new Set(had.flat());
  return seen.size === 0 ? events : events.filter((event) => !seen.has(`${inboxKey(event)} ${event.sequence}`));
}

/**
 * A statement for each aggregate, of which a batch has one or two, so that only keys and sequences travel. Sorted, as the
 * keys are, so that two claims over the same keys wait for each other instead of deadlocking.
 */
const byAggregate = <Event extends Claimable>(events: readonly Event[]): (readonly [string, readonly Event[]])[] =>
  [...Map.groupBy(events, ({ type }) => aggregateOf(type))].sort(([one], [other]) => (one < other ? -1 : 1));

function highestPerKey(events: readonly Claimable[]): [keys: readonly string[], sequences: readonly number[]] {
  const highest = new Map<string, number>();
  for (const { key, sequence } of events) highest.set(key, Math.max(highest.get(key) ?? 0, sequence));
  const keys = [...highest.keys()].sort();
  return [keys, keys.map((key) => highest.get(key) ?? 0)];
}

/** The key of an event among all aggregates. */
export const inboxKey = (event: Pick<Delivered, "type" | "key">): string => `${aggregateOf(event.type)} ${event.key}`;
