/**
 * How a new consumer begins beside an outbox that does not reach back to the beginning: with the owner's export of its state
 * and the cursor that belongs to it, taken on one snapshot.
 */

import { array, bigint, type Database, integer, snapshot, sql, type Transaction, text } from "@onsale/postgres";
import { type Lane, lanes } from "./event.ts";
import { outboxCursors } from "./outbox-cursor.ts";
import { WindowSource } from "./window.ts";

/** What an export of the owner's state contains already, and where reading goes on. Plain JSON: it travels with the export. */
export interface StartingPoint {
  readonly source: string;
  readonly snap: string;
  readonly highs: Readonly<Record<Lane, number>>;
  /** Keys whose latest events lie beyond `highs` and are in the export all the same: they must not act once more. */
  readonly included: readonly { readonly aggregate: string; readonly key: string; readonly sequence: number }[];
}

const snapshotSql = sql("messaging.export-snapshot", {
  takes: [],
  gives: { snap: snapshot },
})`select pg_current_snapshot() as snap`;

const includedSql = sql("messaging.export-included", {
  takes: [bigint, bigint],
  gives: { aggregate: text, key: text, sequence: bigint },
})`
  select aggregatetype as aggregate, aggregateid as key, max(sequence) as sequence from (
    select aggregatetype, aggregateid, sequence from outbox_online where position > $1
    union all
    select aggregatetype, aggregateid, sequence from outbox_bulk where position > $2
  ) as event group by aggregatetype, aggregateid`;

const beginSql = sql("messaging.begin-at", { takes: [text, text, text, integer, snapshot, bigint], gives: {} })`
  insert into reader_cursor (reader, source, lane, slot, slots, snap, high, system_identifier)
  select $1, $2, $3, slot, $4, $5, $6, reader_system_identifier() from generate_series(0, $4 - 1) as slot
  on conflict (reader, source, lane, slot) do nothing`;

const includeSql = sql("messaging.include-in-inbox", {
  takes: [text, array(text), array(text), array(bigint)],
  gives: {},
})`
  insert into inbox as seen (reader, aggregate, key, sequence)
  select $1, aggregate, key, sequence from unnest($2::text[], $3::text[], $4::bigint[]) as event(aggregate, key, sequence)
  on conflict (reader, aggregate, key) do update set sequence = greatest(seen.sequence, excluded.sequence)`;

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
      const included = await tx.query(includedSql, [highs.online, highs.bulk]);
      return { exported: await work(tx), from: { source, snap: row.snap, highs, included } };
    },
    { isolation: "repeatable read" },
  );
}

/** The reader has a cursor of its own, which is the truth. */
export class ReaderHasBegunError extends Error {
  override readonly name = "ReaderHasBegunError";
  constructor(reader: string, source: string) {
    super(`${reader} reads ${source} already: it can't begin anew at an export.`);
  }
}

/**
 * Lets a reader that never read begin at `from`, in the transaction that takes over the export. Throws a `ReaderHasBegunError`
 * when it has begun already.
 */
export async function beginAt(
  database: Database,
  { reader, from, slots = 1 }: { reader: string; from: StartingPoint; slots?: number },
  takeOver: (tx: Transaction) => Promise<void>,
): Promise<void> {
  await database.transaction(async (tx) => {
    for (const lane of lanes) {
      const begun = await tx.execute(beginSql, [reader, from.source, lane, slots, from.snap, from.highs[lane]]);
      if (begun < slots) throw new ReaderHasBegunError(reader, from.source);
    }
    await tx.execute(includeSql, [
      reader,
      from.included.map(({ aggregate }) => aggregate),
      from.included.map(({ key }) => key),
      from.included.map(({ sequence }) => sequence),
    ]);
    await takeOver(tx);
  });
  // The owner keeps what is not read from now on, and not from the first time that the reader runs.
  for (const lane of lanes)
    for (let slot = 0; slot < slots; slot++)
      await outboxCursors.report(database, { reader, source: from.source, lane, slot });
}
