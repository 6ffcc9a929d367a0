import { randomUUID } from "node:crypto";
import { array, bigint, type Column, sql, type Transaction, text, uuid } from "@onsale/postgres";
import { type Cause, isKeySize, type Lane, maximumKeyBytes, type OutgoingEvent, whyUnfit } from "../events/event.ts";
import { isStorable } from "../events/storable.ts";
import { ringAfterCommit } from "./doorbell.ts";

/** Event data, as JSON, at most: 256 KiB. Above it a batch of a thousand no longer fits comfortably in memory or in a broker's message. */
export const maximumPayloadBytes = 256 * 1024;

/**
 * Events that one transaction may publish in the bulk lane. A reader sees nothing of a transaction before it commits, and
 * then all of it at once: cut at 1,000 rows, every kind of reader kept an online p99 of 32 to 40 ms beside a bulk load that
 * cost 50 ms to 12 s as one transaction.
 */
export const bulkRowCap = 1_000;

/** An event was not fit to be published. The transaction that tried is rolled back. */
export class EventRefusedError extends Error {
  override readonly name = "EventRefusedError";
}

/** JSON that is text already. */
const jsonText: Column<string> = { type: "json", nullable: false };

/** What an insert into an outbox takes: see `parametersOf`. */
export const insertColumns = {
  takes: [array(uuid), array(text), array(text), array(text), array(bigint), array(jsonText), array(jsonText)],
  gives: {},
} as const;

const insertOnlineSql = sql("messaging.insert-outbox-online", insertColumns)`
  insert into outbox_online (id, aggregatetype, aggregateid, type, payload, sequence, headers)
  select id, aggregatetype, aggregateid, type, payload, sequence, headers
  from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::json[], $7::json[])
    as event(id, aggregatetype, aggregateid, type, sequence, payload, headers)`;

const insertBulkSql = sql("messaging.insert-outbox-bulk", insertColumns)`
  insert into outbox_bulk (id, aggregatetype, aggregateid, type, payload, sequence, headers)
  select id, aggregatetype, aggregateid, type, payload, sequence, headers
  from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::json[], $7::json[])
    as event(id, aggregatetype, aggregateid, type, sequence, payload, headers)`;

const insertSql = { online: insertOnlineSql, bulk: insertBulkSql };

const oneRow = { takes: [uuid, text, text, text, bigint, jsonText, jsonText], gives: {} } as const;

// One event is what most transactions of requests publish: as plain values it takes the server two thirds of the time.
const insertOneOnlineSql = sql("messaging.insert-one-outbox-online", oneRow)`
  insert into outbox_online (id, aggregatetype, aggregateid, type, sequence, payload, headers)
  values ($1, $2, $3, $4, $5, $6, $7)`;

const insertOneBulkSql = sql("messaging.insert-one-outbox-bulk", oneRow)`
  insert into outbox_bulk (id, aggregatetype, aggregateid, type, sequence, payload, headers)
  values ($1, $2, $3, $4, $5, $6, $7)`;

const insertOneSql = { online: insertOneOnlineSql, bulk: insertOneBulkSql };

/** CloudEvents extension attributes, in their own spelling, as they lie in the outbox. */
export interface Headers {
  readonly correlationid: string;
  readonly causationid?: string;
  readonly traceparent?: string;
  /** The id of the event that this one repeats under an id of its own. */
  readonly replayof?: string;
}

/**
 * Writes events into the service's outbox, in the transaction that makes them true. Nothing else can send. They are
 * checked against their schemas first; a fault throws and rolls the transaction back. The caller holds the row lock of
 * each event's key, and gives a key's events in the order of their sequence.
 */
export async function publish(tx: Transaction, events: readonly OutgoingEvent[]): Promise<void> {
  const rows = events.map(prepareRow);
  const byLane = [...Map.groupBy(rows, ({ lane }) => lane)];
  for (const [lane, own] of byLane) if (lane === "bulk") countBulk(tx, own.length);
  await Promise.all(byLane.map(([lane, own]) => insert(tx, lane, own)));
  if (events.length > 0) ringAfterCommit(tx);
}

const bulkRows = new WeakMap<Transaction, number>();

function countBulk(tx: Transaction, more: number): void {
  const count = (bulkRows.get(tx) ?? 0) + more;
  if (count > bulkRowCap)
    throw new EventRefusedError(
      `${count} events of the bulk lane in one transaction; ${bulkRowCap} are allowed: cut the work with publishInBulk.`,
    );
  bulkRows.set(tx, count);
}

/** An event that was checked, as it will lie in the outbox of its lane. */
export type PreparedRow = ReturnType<typeof prepareRow>;

async function insert(tx: Transaction, lane: Lane, rows: readonly PreparedRow[]): Promise<void> {
  const [first] = rows;
  if (first && rows.length === 1) await tx.execute(insertOneSql[lane], valuesOf(first));
  else if (first) await tx.execute(insertSql[lane], parametersOf(rows));
}

const valuesOf = ({ id, aggregate, key, type, sequence, payload, headers }: PreparedRow) =>
  [id, aggregate, key, type, sequence, payload, headers] as const;

export const parametersOf = (rows: readonly PreparedRow[]) =>
  [
    rows.map((row) => row.id),
    rows.map((row) => row.aggregate),
    rows.map((row) => row.key),
    rows.map((row) => row.type),
    rows.map((row) => row.sequence),
    rows.map((row) => row.payload),
    rows.map((row) => row.headers),
  ] as const;

/** Checks an event. Throws an `EventRefusedError` where it is not fit to be published. */
export function prepareRow({ event, data, sequence, cause, lane = "online" }: OutgoingEvent) {
  const fields = data as Readonly<Record<string, unknown>>;
  const key = fields[event.key];
  if (!event.lanes[lane]) throw new EventRefusedError(`${event.type} may not use the ${lane} lane.`);
  if (typeof key !== "string" || key === "") throw new EventRefusedError(`${event.type} has no key in ${event.key}.`);
  if (!isKeySize(key)) throw new EventRefusedError(`${event.type} has a key of more than ${maximumKeyBytes} bytes.`);
  if (!Number.isSafeInteger(sequence) || sequence < 1)
    throw new EventRefusedError(`${event.type} of ${key} has the sequence ${sequence}.`);
  const why = whyUnfit(event.validator, fields);
  if (why !== undefined) throw new EventRefusedError(`${event.type} of ${key} does not fit its schema: ${why}`);
  const payload = JSON.stringify(data);
  // A character has three bytes at most, so that nearly all payloads need not be measured.
  const bytes = payload.length * 3 > maximumPayloadBytes ? Buffer.byteLength(payload) : 0;
  if (bytes > maximumPayloadBytes)
    throw new EventRefusedError(`${event.type} of ${key} has ${bytes} bytes; ${maximumPayloadBytes} are allowed.`);
  const headers = headersOf(cause);
  if (!isStorable(payload) || !isStorable(headers))
    throw new EventRefusedError(`${event.type} of ${key} has a NUL or half of a character.`);
  return { id: randomUUID(), aggregate: event.aggregate, key, type: event.type, payload, sequence, headers, lane };
}

function headersOf({ correlationId, causationId, traceparent }: Cause): string {
  const headers: Headers = {
    correlationid: correlationId,
    ...(causationId !== undefined && { causationid: causationId }),
    ...(traceparent !== undefined && { traceparent }),
  };
  return JSON.stringify(headers);
}
