/**
 * How a new consumer begins beside an outbox that does not reach back to the beginning: with the owner's export of its state
 * and the cursor that belongs to it, taken on one snapshot.
 */

import {
  array,
  as,
  bigint,
  type Database,
  json,
  nullable,
  snapshot,
  sql,
  type Transaction,
  text,
  uuid,
} from "@onsale/postgres";
import { type EventDefinition, type Lane, lanes, lanesOf } from "../events/event.ts";
import type { TopicPositions } from "../kafka/positions.ts";
import type { Log } from "../log.ts";
import { WindowSource } from "../outbox/window.ts";
import { lifeOf } from "./inbox.ts";

/** What an export of the owner's state contains already, and where reading goes on. Plain JSON: it travels with the export. */
export interface StartingPoint {
  readonly source: string;
  readonly snap: string;
  readonly highs: Readonly<Record<Lane, number>>;
  /**
   * How far the topics of the source were written, for who reads them; a lane whose topic had nothing yet is absent. Absent as
   * a whole: the source's events do not go through Kafka.
   */
  readonly topics?: Readonly<Partial<Record<Lane, TopicPositions>>>;
  /**
   * Keys whose latest events will be read behind this point, or may be, and are in the export all the same: they must not
   * act once more. On an outbox these are the few that lie beyond `highs`; to a topic everything that the outbox still has
   * may be written again.
   */
  readonly included: readonly {
    readonly aggregate: string;
    readonly key: string;
    readonly sequence: number;
    /** The life of the producer in which it was told. */
    readonly incarnation: string;
  }[];
}

const snapshotSql = sql("messaging.export-snapshot", {
  takes: [],
  gives: { snap: snapshot },
})`select pg_current_snapshot() as snap`;

const includedSql = sql("messaging.export-included", {
  takes: [bigint, bigint],
  gives: { aggregate: text, key: text, sequence: bigint, incarnation: uuid },
})`
  select distinct on (aggregatetype, aggregateid) aggregatetype as aggregate, aggregateid as key, sequence, incarnation from (
    select aggregatetype, aggregateid, sequence, incarnation from outbox_online where position > $1
    union all
    select aggregatetype, aggregateid, sequence, incarnation from outbox_bulk where position > $2
  ) as event order by aggregatetype, aggregateid, sequence desc`;

const topicsSql = sql("messaging.export-topics", {
  takes: [array(text)],
  gives: { lane: as<Lane>(text), written: nullable(json<TopicPositions>()) },
})`
  select topic.lane, relay.kafka as written from kafka_topic as topic
  left join reader_cursor as relay on relay.reader = 'relay' and relay.lane = topic.lane
  where topic.lane = any($1)`;

const includeSql = sql("messaging.include-in-inbox", {
  takes: [text, array(text), array(text), array(bigint), array(bigint)],
  gives: {},
})`
  insert into inbox as seen (reader, aggregate, key, sequence, life)
  select $1, aggregate, key, sequence, life
  from unnest($2::text[], $3::text[], $4::bigint[], $5::bigint[]) as event(aggregate, key, sequence, life)
  on conflict (reader, aggregate, key) do update set sequence = excluded.sequence, life = excluded.life
  where (seen.life, seen.sequence) < (excluded.life, excluded.sequence)`;

/**
 * Runs the owner's export on one snapshot of its database, and gives the starting point that belongs to it: a consumer that
 * takes over the export and begins there has every event exactly once, in the export or from the outbox. `work` may read
 * for long; it holds up neither writers nor readers.
 */
export async function exportState<Result>(
  owner: Database,
  work: (tx: Transaction) => Promise<Result>,
): Promise<{ exported: Result; from: StartingPoint }> {
  const source = owner.home.schema;
  // The fence first and the snapshot after it, as for a window (see WindowSource).
  const { highs } = await new WindowSource(owner, source).next();
  return await owner.transaction(
    async (tx) => {
      const [row] = await tx.query(snapshotSql, []);
      if (!row) throw new Error("The server gave no snapshot.");
      const topics = await readTopics(tx);
      const beyond = topics ? ([0, 0] as const) : ([highs.online, highs.bulk] as const);
      const included = await tx.query(includedSql, beyond);
      const from = { source, snap: row.snap, highs, ...(topics && { topics }), included };
      return { exported: await work(tx), from };
    },
    { isolation: "repeatable read" },
  );
}

/** What relays had saved on this snapshot: all records before it are of events that the snapshot shows. */
async function readTopics(tx: Transaction): Promise<StartingPoint["topics"]> {
  const rows = await tx.query(topicsSql, [lanes]);
  if (rows.length === 0) return undefined;
  const topics: Partial<Record<Lane, TopicPositions>> = {};
  // Each shard of a relay has written partitions of its own.
  for (const { lane, written } of rows)
    if (written) topics[lane] = { ...written, at: { ...topics[lane]?.at, ...written.at } };
  return topics;
}

/** The reader has a cursor of its own, which is the truth. */
export class ReaderHasBegunError extends Error {
  override readonly name = "ReaderHasBegunError";
  constructor(reader: string, source: string) {
    super(`${reader} reads ${source} already: it can't begin anew at an export.`);
  }
}

/** A log whose readers can begin behind an export. */
export interface JoinableLog extends Log {
  /** Makes the cursors of a reader on these lanes, so that it begins at `from`. False when it has some already. */
  begin(
    tx: Transaction,
    reader: { readonly name: string; readonly lanes: readonly Lane[] },
    from: StartingPoint,
  ): Promise<boolean>;
}

/**
 * Lets a reader that never read begin at `from`, in the transaction that takes over the export. A consumer whose order is
 * `unordered` may be given an event that is in the export: its calls are made at least once, here too.
 * @throws {ReaderHasBegunError}
 * @throws {OtherLogError} when `log` is Kafka and the source's events did not go through it.
 */
export async function beginAt(
  database: Database,
  {
    reader,
    on,
    from,
    log,
  }: {
    reader: string;
    /** What it will hear of this source: a lane that none of it may use is not read, so nobody may wait for it. */
    on: readonly EventDefinition[];
    from: StartingPoint;
    log: JoinableLog;
  },
  takeOver: (tx: Transaction) => Promise<void>,
): Promise<void> {
  const { source, included } = from;
  const own = lanesOf(on);
  await database.transaction(async (tx) => {
    if (!(await log.begin(tx, { name: reader, lanes: own }, from))) throw new ReaderHasBegunError(reader, source);
    await tx.execute(includeSql, [
      reader,
      included.map(({ aggregate }) => aggregate),
      included.map(({ key }) => key),
      included.map(({ sequence }) => sequence),
      included.map(({ incarnation }) => lifeOf(incarnation)),
    ]);
    await takeOver(tx);
  });
  // The owner keeps what is not read from now on, and not from the first time that the reader runs.
  for (const lane of own)
    for (let slot = 0; slot < log.slots(source); slot++)
      await log.cursors.report(database, { reader, source, lane, slot });
}
