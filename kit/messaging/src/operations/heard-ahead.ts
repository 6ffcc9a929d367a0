/** Keys of which a reader has heard more than their producer knows: it was restored, or somebody told something in its name. */

import {
  array,
  bigint,
  composedSql,
  type Database,
  identifier,
  instant,
  nullable,
  type Statement,
  text,
} from "@onsale/postgres";
import type { Reader } from "../consumers/readers.ts";
import { type Lane, lanesOf } from "../events/event.ts";
import { type Refusal, refused } from "./refusal.ts";
import { lookedAtMost } from "./told-events.ts";

export interface HeardAhead {
  readonly aggregate: string;
  readonly key: string;
  /** The highest sequence that was heard, and when it was told (RFC 3339). */
  readonly heard: number;
  readonly heardToldAt: string;
  /** What its producer has of the key under the same life; null where it has nothing. */
  readonly told: number | null;
}

export interface HeardAheadPage {
  readonly kind: "compared";
  /** What was told before this moment the outbox may have let go, so it is not compared. Null: everything is. */
  readonly since: string | null;
  readonly keys: readonly HeardAhead[];
}

export interface HeardAheadPlace {
  readonly aggregate: string;
  readonly key: string;
}

// Where a lane has let nothing go, it has everything since the beginning.
const sinceSql = (source: string, lane: Lane) =>
  composedSql(`messaging.told-since-${source}-${lane}`, {
    takes: [text, bigint],
    gives: { from: bigint, since: nullable(instant) },
    text: `
      select coalesce(first.position, 0) as from,
        case when gone.until is not null or first.is_cut then coalesce(first.created_at, gone.until) end as since
      from (select max(truncated_at) as until from ${identifier(source)}.outbox_partition where lane = $1) as gone
      left join lateral (
        select position, created_at, position > 1 and position > head - $2 as is_cut
        from (select max(position) as head from ${identifier(source)}.outbox_${lane}) as last,
          lateral (select position, created_at from ${identifier(source)}.outbox_${lane}
                   where position > head - $2 order by position limit 1) as oldest
      ) as first on true`,
  });

const lifeSql = `coalesce(case when uuid_extract_version(incarnation) = 7
  then floor(extract(epoch from uuid_extract_timestamp(incarnation)) * 1000)::bigint end, 0)`;

const aheadSql = (source: string) =>
  composedSql(`messaging.heard-ahead-${source}`, {
    takes: [text, array(text), bigint, bigint, nullable(instant), text, text, bigint],
    gives: { aggregate: text, key: text, heard: bigint, heardToldAt: instant, told: nullable(bigint) },
    text: `
      with told as (
        select aggregatetype, aggregateid, life, max(sequence) as sequence
        from (
          select aggregatetype, aggregateid, sequence, ${lifeSql} as life
          from ${identifier(source)}.outbox_online where position >= $3 and aggregatetype = any($2)
          union all
          select aggregatetype, aggregateid, sequence, ${lifeSql} as life
          from ${identifier(source)}.outbox_bulk where position >= $4 and aggregatetype = any($2)
        ) as event
        group by aggregatetype, aggregateid, life
      )
      select inbox.aggregate, inbox.key, inbox.sequence as heard, to_timestamp(inbox.told_at / 1000.0) as "heardToldAt",
        told.sequence as told
      from inbox
      left join told on told.aggregatetype = inbox.aggregate and told.aggregateid = inbox.key and told.life = inbox.life
      where inbox.reader = $1 and inbox.aggregate = any($2) and inbox.sequence > coalesce(told.sequence, 0)
        and inbox.told_at is not null and ($5::timestamptz is null or to_timestamp(inbox.told_at / 1000.0) > $5)
        and (inbox.aggregate, inbox.key) > ($6, $7)
      order by inbox.aggregate, inbox.key limit $8`,
  });

/**
 * Compares, in one look at both, what a reader heard of a source with what lies in the source's outbox; at most `limit` keys behind
 * `after`, in their order. What was heard before the inbox kept when it was told is not compared, nor what lies beyond
 * the last million positions.
 */
export async function heardAhead(
  database: Database,
  { reader, source }: { readonly reader: Reader; readonly source: string },
  {
    after = { aggregate: "", key: "" },
    limit,
  }: { readonly after?: HeardAheadPlace | undefined; readonly limit: number },
): Promise<HeardAheadPage | Refusal<"STREAM_NOT_FOUND" | "NO_SEQUENCES">> {
  const heard = [...reader.hears.values()].filter((type) => type.source === source);
  if (heard.length === 0) return refused("STREAM_NOT_FOUND", `Nothing is read as ${reader.name}/${source}.`);
  if (!reader.keepsSequences)
    return refused("NO_SEQUENCES", `${reader.name} hears in no order, and keeps which events it had, not how far.`);
  const definitions = heard.map(({ definition }) => definition);
  const [online, bulk] = await Promise.all([
    sinceOf(database, sinceSql(source, "online"), "online"),
    sinceOf(database, sinceSql(source, "bulk"), "bulk"),
  ]);
  const since = lanesOf(definitions)
    .flatMap((lane) => ({ online, bulk })[lane].since ?? [])
    .sort()
    .at(-1);
  const keys = await database.query(aheadSql(source), [
    reader.name,
    [...new Set(definitions.map(({ aggregate }) => aggregate))],
    online.from,
    bulk.from,
    since ?? null,
    after.aggregate,
    after.key,
    limit,
  ]);
  return { kind: "compared", since: since ?? null, keys };
}

async function sinceOf(
  database: Database,
  statement: Statement<readonly [string, number], { from: number; since: string | null }>,
  lane: Lane,
): Promise<{ from: number; since: string | null }> {
  const [row] = await database.query(statement, [lane, lookedAtMost]);
  return row ?? { from: 0, since: null };
}
