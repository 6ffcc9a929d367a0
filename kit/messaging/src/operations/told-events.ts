/** What lies in an outbox, for people: the latest events, what comes next, and one by its id. */

import { bigint, composedSql, type Database, identifier, nullable, snapshot, text, uuid } from "@onsale/postgres";
import { type Delivered, type Lane, lanes } from "../events/event.ts";
import { outboxColumns, outboxRow, toDelivered } from "../outbox/outbox-row.ts";
import { type OutboxCursor, SnapshotReader } from "../outbox/snapshot-reader.ts";
import { WindowSource } from "../outbox/window.ts";

export interface EventFilter {
  readonly type?: string | undefined;
  readonly key?: string | undefined;
}

/** Where somebody who follows an outbox stands, per lane. */
export type TailCursor = Readonly<Record<Lane, OutboxCursor>>;

export interface Tail {
  /** In the order of delivery. */
  readonly events: readonly Delivered[];
  /** Nothing that is committed later is missed from here, however late. */
  readonly after: TailCursor;
}

const latestSql = (source: string, lane: Lane) =>
  composedSql(`messaging.latest-events-${source}-${lane}`, {
    takes: [bigint, bigint, nullable(text), nullable(text), bigint, snapshot],
    gives: outboxRow,
    text: `
      select ${outboxColumns} from ${identifier(source)}.outbox_${lane}
      where position > $1 and position <= $2 and pg_visible_in_snapshot(xid, $6) and ($3::text is null or type = $3) 
        and ($4::text is null or aggregateid = $4)
      order by position desc limit $5`,
  });

const byIdSql = (source: string, lane: Lane) =>
  composedSql(`messaging.event-by-id-${source}-${lane}`, {
    takes: [uuid, bigint, bigint],
    gives: outboxRow,
    text: `
      select ${outboxColumns} from ${identifier(source)}.outbox_${lane}
      where id = $1 and position > $2 and position <= $3 limit 1`,
  });

/** Positions of a lane that are looked at, from the latest back: ids have no index, since every writer would pay for it. */
export const lookedAtMost = 1_000_000;

/** Positions of one statement: some 50 ms, so that nobody waits behind it. */
const stretch = 50_000;

/** The latest events of an outbox that fit, the oldest of them first, and the cursor from which to follow it. */
export async function latestEvents(
  database: Database,
  source: string,
  { filter, limit }: { filter: EventFilter; limit: number },
): Promise<Tail> {
  const { snapshot: snap, highs } = await new WindowSource(database, source).next();
  const found = await Promise.all(
    lanes.map(async (lane) => {
      const from = Math.max(0, highs[lane] - lookedAtMost);
      const parameters = [from, highs[lane], filter.type ?? null, filter.key ?? null, limit, snap] as const;
      const rows = await database.query(latestSql(source, lane), parameters);
      return rows.map((row) => toDelivered(row, { source, lane })).reverse();
    }),
  );
  const after = { online: { snap, high: highs.online }, bulk: { snap, high: highs.bulk } };
  return { events: byTime(found.flat()).slice(-limit), after };
}

/** What was committed since `after`, at most `limit` events of each lane. */
export async function eventsAfter(
  database: Database,
  source: string,
  { filter, after, limit }: { filter: EventFilter; after: TailCursor; limit: number },
): Promise<Tail> {
  const windows = new WindowSource(database, source);
  const wanted = filter.type !== undefined && { types: [filter.type] };
  const [online, bulk] = await Promise.all(
    (["online", "bulk"] as const).map((lane) =>
      new SnapshotReader({ database, windows, source, lane, ...wanted }).read(after[lane], limit),
    ),
  );
  if (!online || !bulk) throw new Error("Both lanes are read.");
  const events = [...online.events, ...bulk.events].map(({ event }) => event);
  return {
    events: byTime(events.filter(({ key }) => filter.key === undefined || key === filter.key)),
    after: { online: online.after, bulk: bulk.after },
  };
}

/** The event of this id in an outbox; undefined when it is not among the last million positions of either lane. */
export async function eventById(database: Database, source: string, id: string): Promise<Delivered | undefined> {
  const { highs } = await new WindowSource(database, source).next();
  for (const lane of lanes) {
    for (let to = highs[lane]; to > Math.max(0, highs[lane] - lookedAtMost); to -= stretch) {
      const [row] = await database.query(byIdSql(source, lane), [id, to - stretch, to]);
      if (row) return toDelivered(row, { source, lane });
    }
  }
  return undefined;
}

/** Stable: events of one moment keep the order of their lane. */
const byTime = (events: readonly Delivered[]): Delivered[] =>
  [...events].sort((a, b) => (a.time < b.time ? -1 : a.time > b.time ? 1 : 0));
