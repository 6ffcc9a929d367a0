/** Publishing in a transaction that the application opened itself, with a driver of its own. */

import { composedSql, encodeParameters, identifier } from "@onsale/postgres";
import { type Lane, lanes, type OutgoingEvent } from "../events/event.ts";
import { insertColumns, type PreparedRow, parametersOf, prepareRow } from "./publish.ts";

/** What runs SQL in the application's transaction: a client of `pg`, or three lines around another driver. */
export interface SqlClient {
  query(text: string, values: unknown[]): Promise<{ readonly rowCount: number | null }>;
}

/** Nothing was published, because there was nothing that the event could have been published together with. */
export class NothingChangedError extends Error {
  override readonly name = "NothingChangedError";
  constructor() {
    super(
      "Nothing was published: this client is in no transaction, or in one that has changed and locked nothing yet. " +
        "Write the change first, await it, then publish, then commit.",
    );
  }
}

/**
 * Writes events into the outbox of `schema` over the application's client. They are checked first; what is not fit throws
 * an `EventRefusedError`. The transaction must have written or locked a row before: only such a transaction has an id, and
 * the statement inserts nothing where there is none. So an event can't slip out by itself, neither before BEGIN nor after
 * COMMIT; and whoever keeps the order of a key by its row's lock has taken the lock before the event gets its position.
 */
export async function publishWith(client: SqlClient, schema: string, events: readonly OutgoingEvent[]): Promise<void> {
  const rows = events.map(prepareRow);
  for (const lane of lanes) {
    const own = rows.filter((row) => row.lane === lane);
    if (own.length > 0) await insert(client, { schema, lane }, own);
  }
}

async function insert(
  client: SqlClient,
  outbox: { schema: string; lane: Lane },
  rows: readonly PreparedRow[],
): Promise<void> {
  const statement = insertSql(outbox);
  const { rowCount } = await client.query(statement.text, encodeParameters(statement, parametersOf(rows)));
  if (rowCount !== rows.length) throw new NothingChangedError();
}

// The subquery runs once, before the first row: the insert itself would give the transaction an id.
const insertSql = ({ schema, lane }: { schema: string; lane: Lane }) =>
  composedSql(`messaging.insert-with-${schema}-${lane}`, {
    ...insertColumns,
    text: `
      insert into ${identifier(schema)}.outbox_${lane} (id, aggregatetype, aggregateid, type, payload, sequence, headers)
      select id, aggregatetype, aggregateid, type, payload, sequence, headers
      from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::json[], $7::json[])
        as event(id, aggregatetype, aggregateid, type, sequence, payload, headers)
      where (select pg_current_xact_id_if_assigned()) is not null`,
  });
