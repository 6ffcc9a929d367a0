import type { Cause, DataOf, EventDefinition, Lane } from "@onsale/messaging";
import { as, bigint, json, nullable, type Queryable, sql, text, uuid } from "@onsale/postgres";

/** An event as it lies in an outbox. */
export interface Published<Data = unknown> {
  readonly id: string;
  readonly type: string;
  readonly key: string;
  readonly sequence: number;
  readonly lane: Lane;
  readonly data: Data;
  readonly cause: Cause;
}

const readOutboxSql = sql("testing.read-outbox", {
  takes: [nullable(text)],
  gives: {
    id: uuid,
    type: text,
    key: text,
    sequence: bigint,
    lane: as<Lane>(text),
    data: json<unknown>(),
    correlationId: text,
    causationId: nullable(text),
    traceparent: nullable(text),
  },
})`
  select id, type, aggregateid as key, sequence, lane, payload as data, headers ->> 'correlationid' as "correlationId",
    headers ->> 'causationid' as "causationId", headers ->> 'traceparent' as traceparent
  from (
    select *, 'online' as lane from outbox_online union all select *, 'bulk' as lane from outbox_bulk
  ) as outbox
  where $1::text is null or type = $1 order by lane desc, position`;

/** What a service has published, in order, the online lane first; only events of one type when it is given. */
export async function readOutbox<Definition extends EventDefinition>(
  database: Queryable,
  definition?: Definition,
): Promise<Published<DataOf<Definition>>[]> {
  const rows = await database.query(readOutboxSql, [definition?.type ?? null]);
  return rows.map(({ correlationId, causationId, traceparent, data, ...rest }) => ({
    ...rest,
    data: data as DataOf<Definition>,
    cause: {
      correlationId,
      ...(causationId !== null && { causationId }),
      ...(traceparent !== null && { traceparent }),
    },
  }));
}
