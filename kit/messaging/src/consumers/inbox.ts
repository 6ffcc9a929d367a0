import { array, bigint, nullable, type Queryable, sql, type Transaction, text } from "@onsale/postgres";
import { aggregateOf, type Delivered } from "../events/event.ts";

const claimSql = sql("messaging.claim-inbox", {
  takes: [text, text, bigint, array(text), array(bigint)],
  gives: { key: text, before: nullable(bigint), lifeBefore: nullable(bigint) },
})`
  insert into inbox as seen (reader, aggregate, key, sequence, life)
  select $1, $2, key, sequence, $3 from unnest($4::text[], $5::bigint[]) as event(key, sequence)
  on conflict (reader, aggregate, key) do update set sequence = excluded.sequence, life = excluded.life
  where (seen.life, seen.sequence) < (excluded.life, excluded.sequence)
  returning seen.key, old.sequence as before, old.life as "lifeBefore"`;

type Claimable = Pick<Delivered, "type" | "key" | "sequence" | "incarnation">;

/** A key of which a restored producer tells other facts than it had told, under sequences that were heard before. */
export interface ToldAnew {
  readonly aggregate: string;
  readonly key: string;
  /** The highest sequence that was heard of its former life. */
  readonly had: number;
  /** Where its new life goes on. What lies between was acted on here, and the producer does not know of it. */
  readonly tellsFrom: number;
  readonly incarnation: string;
}

/** Hears of keys that are told anew. */
export type Anew = (told: ToldAnew) => void;

/**
 * Claims events for a reader in the transaction of their effects, and gives those that it had not had yet. What counts is
 * the highest sequence per key, kept for ever, so that no redelivery is ever late enough to act twice.
 */
export async function claimFresh<Event extends Claimable>(
  tx: Transaction,
  reader: string,
  events: readonly Event[],
  anew: Anew = () => undefined,
): Promise<readonly Event[]> {
  const fresh = await Promise.all(
    byOrigin(events).map(([origin, own]) => claimOfOrigin(tx, { reader, origin, anew }, own)),
  );
  const [only] = fresh;
  if (only && fresh.length === 1) return only;
  const all = new Set(fresh.flat());
  return events.filter((event) => all.has(event));
}

async function claimOfOrigin<Event extends Claimable>(
  tx: Transaction,
  { reader, origin, anew }: { readonly reader: string; readonly origin: Origin; readonly anew: Anew },
  events: readonly Event[],
): Promise<readonly Event[]> {
  const { aggregate, life } = origin;
  const rows = await tx.query(claimSql, [reader, aggregate, life, ...highestPerKey(events)]);
  if (life > 0) tellAnew(rows, { aggregate, life }, events, anew);
  // Nearly always: each of another key, and nobody has had any.
  if (rows.length === events.length) return events;
  // What was had of a former life says nothing of this one.
  const before = new Map(rows.map((row) => [row.key, row.lifeBefore === life ? (row.before ?? 0) : 0]));
  const had = new Set<string>();
  return events.filter(({ key, sequence }) => {
    const seen = before.get(key);
    const once = `${key} ${sequence}`;
    if (seen === undefined || sequence <= seen || had.has(once)) return false;
    had.add(once);
    return true;
  });
}

function tellAnew(
  rows: readonly { readonly key: string; readonly before: number | null; readonly lifeBefore: number | null }[],
  { aggregate, life }: Origin,
  events: readonly Claimable[],
  anew: Anew,
): void {
  for (const { key, before, lifeBefore } of rows) {
    if (before === null || lifeBefore === life) continue;
    const own = events.filter((event) => event.key === key);
    const tellsFrom = Math.min(...own.map(({ sequence }) => sequence));
    if (before >= tellsFrom) anew({ aggregate, key, had: before, tellsFrom, incarnation: own[0]?.incarnation ?? "" });
  }
}

const noteSql = sql("messaging.note-in-inbox", {
  takes: [text, text, bigint, array(text), array(bigint)],
  gives: {},
})`
  insert into inbox as seen (reader, aggregate, key, sequence, life)
  select $1, $2, key, sequence, $3 from unnest($4::text[], $5::bigint[]) as event(key, sequence)
  on conflict (reader, aggregate, key) do update set sequence = excluded.sequence, life = excluded.life
  where (seen.life, seen.sequence) < (excluded.life, excluded.sequence)`;

/** Claims events for a reader that knows what is new of them: nothing is told of each, unless it is told anew. */
export async function claim(
  tx: Transaction,
  reader: string,
  events: readonly Claimable[],
  anew: Anew = () => undefined,
): Promise<void> {
  await Promise.all(
    byOrigin(events).map(async ([origin, own]) => {
      const { aggregate, life } = origin;
      if (life > 0) await claimOfOrigin(tx, { reader, origin, anew }, own);
      else await tx.execute(noteSql, [reader, aggregate, life, ...highestPerKey(own)]);
    }),
  );
}

const seenSql = sql("messaging.seen-in-inbox", {
  takes: [text, text, bigint, array(text), array(bigint)],
  gives: { key: text, sequence: bigint },
})`
  select event.key, event.sequence
  from unnest($4::text[], $5::bigint[]) as event(key, sequence)
  cross join lateral (
    select from inbox
    where reader = $1 and aggregate = $2 and key = event.key and (inbox.life, inbox.sequence) >= ($3, event.sequence) limit 1
  ) as seen`;

/** Those of the events that the reader has not had, without claiming them. Of those that it had, rows tell: as a rule none. */
export async function unseen<Event extends Claimable>(
  queryable: Queryable,
  reader: string,
  events: readonly Event[],
): Promise<readonly Event[]> {
  const had = await Promise.all(
    byOrigin(events).map(async ([{ aggregate, life }, own]) => {
      const [keys, sequences] = [own.map(({ key }) => key), own.map(({ sequence }) => sequence)];
      const rows = await queryable.query(seenSql, [reader, aggregate, life, keys, sequences]);
      return rows.map(({ key, sequence }) => `${life} ${aggregate} ${key} ${sequence}`);
    }),
  );
  const seen = new Set(had.flat());
  if (seen.size === 0) return events;
  return events.filter((event) => !seen.has(`${lifeOf(event.incarnation)} ${inboxKey(event)} ${event.sequence}`));
}

/** What events of one statement have in common. */
interface Origin {
  readonly aggregate: string;
  readonly life: number;
}

/**
 * When the producer's present life began, in milliseconds since 1970, as its incarnation (a UUID of version 7) tells; 0 for its
 * first, which is of another version. A later life goes before: what it tells counts, whatever was heard of the one before it.
 */
export const lifeOf = (incarnation: string): number =>
  incarnation[14] === "7" ? Number.parseInt(incarnation.slice(0, 8) + incarnation.slice(9, 13), 16) : 0;

/**
 * A statement for each aggregate, of which a batch has one or two, so that only keys and sequences travel; and for each life of
 * the producer, of which it nearly always has one, the first life first. Sorted, as the keys are, so that two claims over the same
 * keys wait for each other instead of deadlocking.
 */
function byOrigin<Event extends Claimable>(events: readonly Event[]): (readonly [Origin, readonly Event[]])[] {
  const aggregates = [...Map.groupBy(events, ({ type }) => aggregateOf(type))].sort(([one], [other]) =>
    one < other ? -1 : 1,
  );
  return aggregates.flatMap(([aggregate, own]) =>
    [...Map.groupBy(own, ({ incarnation }) => lifeOf(incarnation))]
      .sort(([one], [other]) => one - other)
      .map(([life, ofLife]) => [{ aggregate, life }, ofLife] as const),
  );
}

function highestPerKey(events: readonly Claimable[]): [keys: readonly string[], sequences: readonly number[]] {
  const highest = new Map<string, number>();
  for (const { key, sequence } of events) highest.set(key, Math.max(highest.get(key) ?? 0, sequence));
  const keys = [...highest.keys()].sort();
  return [keys, keys.map((key) => highest.get(key) ?? 0)];
}

/** The key of an event among all aggregates. */
export const inboxKey = (event: Pick<Delivered, "type" | "key">): string => `${aggregateOf(event.type)} ${event.key}`;
