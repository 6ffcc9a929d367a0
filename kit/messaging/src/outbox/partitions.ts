/** The upkeep of an outbox: partitions made well ahead, and emptied once every reader has passed them. */

import { bigint, type Database, double, integer, nullable, snapshot, sql, text } from "@onsale/postgres";
import { lanes } from "../events/event.ts";
import { WindowSource } from "./window.ts";

/** Rows of one partition: about a minute of the fastest stream measured. */
const partitionRows = 500_000;

/** Partitions that lie ready before the last position. */
const partitionsAhead = 8;

const extendSql = sql("messaging.extend-outbox", { takes: [text, bigint, integer], gives: { made: integer } })`
  select outbox_extend($1, $2, $3) as made`;

const sealSql = sql("messaging.seal-partitions", { takes: [text, bigint, snapshot], gives: { sealed: integer } })`
  select outbox_seal($1, $2, $3) as sealed`;

const retireSql = sql("messaging.retire-partition", { takes: [text, double], gives: { partition: nullable(text) } })`
  select outbox_retire($1, $2 * interval '1 second') as partition`;

/** Makes the partitions that will be needed. Run it often: an insert beyond the last partition fails. */
export async function extendOutbox(database: Database): Promise<{ made: number }> {
  const made = await Promise.all(
    lanes.map((lane) => database.query(extendSql, [lane, partitionRows, partitionsAhead])),
  );
  return { made: made.flat().reduce((sum, row) => sum + row.made, 0) };
}

/** Remembers for each full partition what was open when it was surely full: the first half of letting it go. */
export async function sealPartitions(database: Database): Promise<number> {
  const { highs, snapshot: seal } = await new WindowSource(database, database.home.schema).next();
  const sealed = await Promise.all(lanes.map((lane) => database.query(sealSql, [lane, highs[lane], seal])));
  return sealed.flat().reduce((sum, row) => sum + row.sealed, 0);
}

/** Empties partitions older than `keepSeconds` that every registered reader has passed, oldest first; gives their names. */
export async function retirePartitions(database: Database, keepSeconds: number): Promise<string[]> {
  const retired: string[] = [];
  for (const lane of lanes) {
    for (;;) {
      const [row] = await database.query(retireSql, [lane, keepSeconds]);
      if (row?.partition == null) break;
      retired.push(row.partition);
    }
  }
  return retired;
}
