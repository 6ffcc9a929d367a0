import { array, bigint, nullable, type Queryable, sql, type Transaction, text } from "@onsale/postgres";
import { aggregateOf, type Delivered } from "../events/event.ts";

// As a rule it is enough to know that all were claimed, and no rows need travel: each of them only where fewer than $7 were.
const claimSql = sql("messaging.claim-inbox", {
  takes: [text, text, bigint, array(text), array(bigint), array(bigint), bigint],
  gives: {
    count: bigint,
    key: nullable(text),
    before: nullable(bigint),
    lifeBefore: nullable(bigint),
    toldBefore: nullable(bigint),
  },
})`
  with claimed as (
    insert into inbox as seen (reader, aggregate, key, sequence, life, told_at)
    select $1, $2, key, sequence, $3, told_at from unnest($4::text[], $5::bigint[], $6::bigint[]) as event(key, sequence, told_at)
    on conflict (reader, aggregate, key) do update
    set sequence = excluded.sequence, life = excluded.life, told_at = excluded.told_at
    where (seen.life, seen.sequence) < (excluded.life, excluded.sequence)
    returning seen.key, old.sequence as before, old.life as "lifeBefore", old.told_at as "toldBefore"
  )
  select count, claimed.* from (select count(*) from claimed) as total left join claimed on count < $7`;

type Claimable = Pick<Delivered, "type" | "key" | "sequence" | "incarnation" | "time">;

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

/** An event that has the sequence of a repetition, and was told later than what it would repeat: it was never heard. */
export interface PassedOver<Event = Claimable> {
  readonly event: Event;
  /** The sequence that its key was taken to have come to. */
  readonly had: number;
}

/** Hears what claims find out about producers. */
export interface Findings<Event = Claimable> {
  toldAnew(told: ToldAnew): void;
  /** Nothing of the reader's goes on before it is done. */
  passedOver(passed: readonly PassedOver<Event>[]): Promise<void>;
}

const unheard: Findings<unknown> = { toldAnew: () => undefined, passedOver: async () => undefined };

/**
 * Claims events for a reader in the transaction of their effects, and gives those that it had not had yet. What counts is
 * the highest sequence per key, kept for ever, so that no redelivery is ever late enough to act twice.
 */
export async function claimFresh<Event extends Claimable>(
  tx: Transaction,
  reader: string,
  events: readonly Event[],
  findings: Findings<Event> = unheard,
): Promise<readonly Event[]> {
  const fresh = await Promise.all(
    byOrigin(events).map(([origin, own]) => claimOfOrigin(tx, { reader, ...origin }, own, findings)),
  );
  const [only] = fresh;
  if (only && fresh.length === 1) return only;
  const all = new Set(fresh.flat());
  return events.filter((event) => all.has(event));
}

async function claimOfOrigin<Event extends Claimable>(
  tx: Transaction,
  origin: Origin & { readonly reader: string },
  events: readonly Event[],
  findings: Findings<Event>,
): Promise<readonly Event[]> {
  const { life } = origin;
  const rows = await claimRows(tx, origin, events, life > 0 ? Number.MAX_SAFE_INTEGER : events.length);
  if (rows === "all") return events;
  if (life > 0) tellAnew(rows, origin, events, findings);
  // What was had of a former life says nothing of this one.
  const marks = new Map<string, Mark>(
    rows.map((row) => [row.key, row.lifeBefore === life ? { had: row.before ?? 0, toldAt: row.toldBefore } : nothing]),
  );
  const firsts = new Map<string, Event>();
  const stale: (readonly [Event, Mark | undefined])[] = [];
  for (const event of events) {
    const { key, sequence } = event;
    const mark = marks.get(key);
    const first = firsts.get(`${key} ${sequence}`);
    if (mark === undefined || sequence <= mark.had) stale.push([event, mark]);
    else if (first) stale.push([event, { had: sequence, toldAt: Date.parse(first.time) }]);
    else firsts.set(`${key} ${sequence}`, event);
  }
  if (stale.length > 0) await findPassedOver(tx, origin, stale, findings);
  return [...firsts.values()];
}

/** What was claimed of a key that had been heard of, if it had. */
interface Claimed {
  readonly key: string;
  readonly before: number | null;
  readonly lifeBefore: number | null;
  readonly toldBefore: number | null;
}

/** Claims, and gives each key that was claimed; `all` where `enough` were, so that nobody asks for each. */
async function claimRows(
  tx: Transaction,
  { reader, aggregate, life }: Origin & { readonly reader: string },
  events: readonly Claimable[],
  enough: number,
): Promise<readonly Claimed[] | "all"> {
  const rows = await tx.query(claimSql, [reader, aggregate, life, ...highestPerKey(events), enough]);
  if ((rows[0]?.count ?? 0) >= enough) return "all";
  return rows.flatMap(({ key, before, lifeBefore, toldBefore }) =>
    key === null ? [] : [{ key, before, lifeBefore, toldBefore }],
  );
}

/** What a key was taken to have come to, and when that was told; null where nobody knows. */
interface Mark {
  readonly had: number;
  readonly toldAt: number | null;
}

const nothing: Mark = { had: 0, toldAt: null };

const marksSql = sql("messaging.inbox-marks", {
  takes: [text, text, array(text)],
  gives: { key: text, had: bigint, toldAt: nullable(bigint) },
})`
  select key, sequence as had, told_at as "toldAt" from inbox where reader = $1 and aggregate = $2 and key = any($3)`;

/** `stale`: with the marks that are known. Where nothing was claimed of a key, its mark has to be asked for. */
async function findPassedOver<Event extends Claimable>(
  tx: Transaction,
  { reader, aggregate }: { readonly reader: string; readonly aggregate: string },
  stale: readonly (readonly [Event, Mark | undefined])[],
  findings: Findings<Event>,
): Promise<void> {
  const unknown = new Set(stale.flatMap(([{ key }, mark]) => (mark ? [] : [key])));
  const rows = unknown.size > 0 ? await tx.query(marksSql, [reader, aggregate, [...unknown]]) : [];
  const found = new Map<string, Mark>(rows.map(({ key, ...mark }) => [key, mark]));
  await tellPassedOver(
    stale.map(([event, mark]) => [event, mark ?? found.get(event.key) ?? nothing] as const),
    findings,
  );
}

/** A repetition was told when the first was, and a key's events one after the other: the highest that was had is the latest. */
async function tellPassedOver<Event extends Claimable>(
  stale: readonly (readonly [Event, Mark])[],
  findings: Pick<Findings<Event>, "passedOver">,
): Promise<void> {
  const passed = stale.filter(([{ time }, { toldAt }]) => toldAt !== null && Date.parse(time) > toldAt);
  if (passed.length > 0) await findings.passedOver(passed.map(([event, { had }]) => ({ event, had })));
}

function tellAnew(
  rows: readonly Claimed[],
  { aggregate, life }: Origin,
  events: readonly Claimable[],
  findings: Pick<Findings, "toldAnew">,
): void {
  for (const { key, before, lifeBefore } of rows) {
    if (before === null || lifeBefore === life) continue;
    const own = events.filter((event) => event.key === key);
    const tellsFrom = Math.min(...own.map(({ sequence }) => sequence));
    if (before >= tellsFrom)
      findings.toldAnew({ aggregate, key, had: before, tellsFrom, incarnation: own[0]?.incarnation ?? "" });
  }
}

/** Claims events for a reader that knows what is new of them: nothing is told of each, unless it is told anew. */
export async function claim<Event extends Claimable>(
  tx: Transaction,
  reader: string,
  events: readonly Event[],
  findings: Findings<Event> = unheard,
): Promise<void> {
  await Promise.all(
    byOrigin(events).map(async ([origin, own]) => {
      if (origin.life > 0) await claimOfOrigin(tx, { reader, ...origin }, own, findings);
      else await claimRows(tx, { reader, ...origin }, own, 0);
    }),
  );
}

const seenSql = sql("messaging.seen-in-inbox", {
  takes: [text, text, bigint, array(text), array(bigint)],
  gives: { key: text, sequence: bigint, had: bigint, toldAt: nullable(bigint) },
})`
  select event.key, event.sequence, seen.sequence as had, seen.told_at as "toldAt"
  from unnest($4::text[], $5::bigint[]) as event(key, sequence)
  cross join lateral (
    select inbox.sequence, told_at from inbox
    where reader = $1 and aggregate = $2 and key = event.key and (inbox.life, inbox.sequence) >= ($3, event.sequence) limit 1
  ) as seen`;

/** Those of the events that the reader has not had, without claiming them. Of those that it had, rows tell: as a rule none. */
export async function unseen<Event extends Claimable>(
  queryable: Queryable,
  reader: string,
  events: readonly Event[],
  findings: Pick<Findings<Event>, "passedOver"> = unheard,
): Promise<readonly Event[]> {
  const had = await Promise.all(
    byOrigin(events).map(async ([{ aggregate, life }, own]) => {
      const [keys, sequences] = [own.map(({ key }) => key), own.map(({ sequence }) => sequence)];
      const rows = await queryable.query(seenSql, [reader, aggregate, life, keys, sequences]);
      return rows.map(({ key, sequence, ...mark }) => [`${life} ${aggregate} ${key} ${sequence}`, mark] as const);
    }),
  );
  const seen = new Map<string, Mark>(had.flat());
  if (seen.size === 0) return events;
  const markOf = (event: Event): Mark | undefined =>
    seen.get(`${lifeOf(event.incarnation)} ${inboxKey(event)} ${event.sequence}`);
  const stale = events.flatMap((event) => {
    const mark = markOf(event);
    return mark ? [[event, mark] as const] : [];
  });
  await tellPassedOver(stale, findings);
  return events.filter((event) => markOf(event) === undefined);
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

function highestPerKey(
  events: readonly Claimable[],
): [keys: readonly string[], sequences: readonly number[], toldAt: readonly number[]] {
  const highest = new Map<string, Claimable>();
  for (const event of events) {
    const known = highest.get(event.key);
    if (known === undefined || event.sequence > known.sequence) highest.set(event.key, event);
  }
  const keys = [...highest.keys()].sort();
  const own = keys.map((key) => highest.get(key));
  return [keys, own.map((event) => event?.sequence ?? 0), own.map((event) => Date.parse(event?.time ?? ""))];
}

/** The key of an event among all aggregates. */
export const inboxKey = (event: Pick<Delivered, "type" | "key">): string => `${aggregateOf(event.type)} ${event.key}`;
