/**
 * How the leases of a lane are shared by the processes that read it. There is no list of processes: one that has fewer leases
 * than another asks for one of them, by a wish in the row of its cursor, and who has it gives it back in good order.
 */

import { boolean, type Database, double, integer, type Queryable, sql, text } from "@onsale/postgres";
import type { FeedName } from "../telemetry.ts";

/** A lease that somebody holds. */
export interface Lease {
  readonly slot: number;
  /** Whose it is, or is about to be. */
  readonly holder: string;
}

/**
 * Whether `asker` may ask for a slot: of who has the most, and two more at least than itself. Each move makes the shares more
 * even, so they come to rest, and shares that differ by one stay as they are.
 */
export function mayAskFor(slot: number, leases: readonly Lease[], asker: string): boolean {
  const holder = leases.find((lease) => lease.slot === slot)?.holder;
  if (holder === undefined) return false;
  const shareOf = (process: string): number => leases.filter((lease) => lease.holder === process).length;
  const most = Math.max(...leases.map((lease) => shareOf(lease.holder)));
  return shareOf(holder) === most && most - shareOf(asker) >= 2;
}

/**
 * How long a wish is good, in milliseconds: an owner looks for one more often. So long at most a slot rests whose owner gave
 * it back for somebody who is gone.
 */
export const wishMs = 2_000;

const stream = [text, text, text, integer] as const;

// Of the slot itself a wish of the asker's own does not count: whether it still is to be fulfilled is the question. A slot that was
// given back for somebody is theirs already, though they have not taken it yet.
const leasesSql = sql("messaging.leases-of-lane", {
  takes: [...stream, text],
  gives: { slot: integer, holder: text },
})`
  select slot,
    case when wanted_until > clock_timestamp() and not (slot = $4 and wanted_by = $5) then wanted_by else owner end as holder
  from reader_cursor
  where reader = $1 and source = $2 and lane = $3
    and (owner is not null and lease_until > clock_timestamp()
      or wanted_until > clock_timestamp() and not (slot = $4 and wanted_by = $5))`;

const lockSql = sql("messaging.lock-leases-of-lane", { takes: [text, text, text], gives: { isLocked: boolean } })`
  select pg_try_advisory_xact_lock(hashtextextended(concat_ws('/', current_schema(), $1::text, $2::text, $3::text), 0)) as "isLocked"`;

const wishSql = sql("messaging.wish-for-lease", { takes: [...stream, text, double], gives: {} })`
  update reader_cursor set wanted_by = $5, wanted_until = clock_timestamp() + $6 * interval '1 millisecond'
  where reader = $1 and source = $2 and lane = $3 and slot = $4
    and owner is not null and lease_until > clock_timestamp() and paused_at is null
    and (wanted_by is null or wanted_by = $5 or wanted_until < clock_timestamp())`;

/**
 * Asks for the lease of a stream, or renews the wish, if its owner has more than its share. `asked`: its owner is to give it
 * back. `busy`: another wish is just being noted, and it is worth looking again soon.
 */
export async function askForLease(
  database: Database,
  feed: FeedName,
  asker: string,
): Promise<"asked" | "content" | "busy"> {
  if (!(await mayAsk(database, feed, asker))) return "content";
  return await database.transaction(async (tx) => {
    // Two that ask at once would both count what only one of them will get.
    const [lock] = await tx.query(lockSql, [feed.reader, feed.source, feed.lane]);
    if (!lock?.isLocked) return "busy";
    if (!(await mayAsk(tx, feed, asker))) return "content";
    const noted = await tx.execute(wishSql, [...nameOf(feed), asker, wishMs]);
    return noted === 1 ? "asked" : "content";
  });
}

const mayAsk = async (queryable: Queryable, feed: FeedName, asker: string): Promise<boolean> =>
  mayAskFor(feed.slot, await queryable.query(leasesSql, [...nameOf(feed), asker]), asker);

const nameOf = ({ reader, source, lane, slot }: FeedName) => [reader, source, lane, slot] as const;
