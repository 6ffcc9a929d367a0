/** A row of an outbox, as every reader of outboxes gets it, and the event that it is. */

import { bigint, instant, text, uuid, writtenJson } from "@onsale/postgres";
import type { Cause, Delivered, Lane } from "../events/event.ts";
import type { Headers } from "./publish.ts";

/** What to select of an outbox for `toDelivered`. */
export const outboxColumns = `id, type, aggregateid as key, payload, position, sequence, headers, incarnation, created_at as "createdAt"`;

/** The columns that these are, in their order. */
export const selectedColumns = [
  "id",
  "type",
  "aggregateid",
  "payload",
  "position",
  "sequence",
  "headers",
  "incarnation",
  "created_at",
];

/** What `outboxColumns` gives. */
export const outboxRow = {
  id: uuid,
  type: text,
  key: text,
  payload: writtenJson<unknown>(),
  position: bigint,
  sequence: bigint,
  headers: writtenJson<Headers>(),
  incarnation: uuid,
  createdAt: instant,
};

export interface OutboxRow {
  readonly id: string;
  readonly type: string;
  readonly key: string;
  readonly payload: unknown;
  readonly sequence: number;
  readonly headers: Headers;
  readonly incarnation: string;
  /** RFC 3339. */
  readonly createdAt: string;
}

/** The event that lies in the `lane` of `source` as this row. */
export function toDelivered(row: OutboxRow, { source, lane }: { source: string; lane: Lane }): Delivered {
  const { replayof: replayOf } = row.headers;
  const event: Delivered = {
    id: row.id,
    type: row.type,
    source,
    incarnation: row.incarnation,
    key: row.key,
    sequence: row.sequence,
    lane,
    time: row.createdAt,
    cause: causeOf(row.headers),
    data: row.payload as Delivered["data"],
  };
  return replayOf === undefined ? event : { ...event, replayOf };
}

/** The cause as the outbox spells it, in this language's spelling. */
export const causeOf = ({ correlationid, causationid, traceparent }: Headers): Cause => ({
  correlationId: correlationid,
  ...(causationid !== undefined && { causationId: causationid }),
  ...(traceparent !== undefined && { traceparent }),
});
