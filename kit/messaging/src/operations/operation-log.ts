/** Who did what to a service's events by hand. Append-only: the database refuses every change of it. */

import { bigint, instant, json, nullable, type Queryable, sql, type Transaction, text } from "@onsale/postgres";

export interface Operation {
  /** The person's id. */
  readonly operator: string;
  /** `thing.verb`, as in `dead-letter.edit`. */
  readonly operation: string;
  readonly reader?: string | undefined;
  /** What it was done to: an event's id, a redrive's, a stream's name. */
  readonly target: string;
  readonly reason?: string | undefined;
  readonly before?: unknown;
  readonly after?: unknown;
}

export interface LoggedOperation {
  /** Counts the operations of one service. */
  readonly position: number;
  readonly at: string;
  readonly operator: string;
  readonly operation: string;
  readonly reader: string | null;
  readonly target: string;
  readonly reason: string | null;
  readonly before: unknown;
  readonly after: unknown;
}

const insertSql = sql("messaging.log-operation", {
  takes: [text, text, nullable(text), text, nullable(text), nullable(json<unknown>()), nullable(json<unknown>())],
  gives: {},
})`
  insert into operation_log (operator, operation, reader, target, reason, before, after) values ($1, $2, $3, $4, $5, $6, $7)`;

const row = {
  position: bigint,
  at: instant,
  operator: text,
  operation: text,
  reader: nullable(text),
  target: text,
  reason: nullable(text),
  before: nullable(json<unknown>()),
  after: nullable(json<unknown>()),
};

const latestSql = sql("messaging.latest-operations", { takes: [bigint, bigint], gives: row })`
  select position, at, operator, operation, reader, target, reason, before, after
  from operation_log where position < $1 order by position desc limit $2`;

const onTargetSql = sql("messaging.operations-on", { takes: [text, bigint], gives: row })`
  select position, at, operator, operation, reader, target, reason, before, after
  from operation_log where target = $1 order by position desc limit $2`;

/** Writes the line in the transaction of what it tells, so that neither is without the other. */
export async function logOperation(tx: Transaction, operation: Operation): Promise<void> {
  const { operator, operation: name, reader = null, target, reason = null, before = null, after = null } = operation;
  await tx.execute(insertSql, [operator, name, reader, target, reason, before, after]);
}

/** The latest operations before `position` (absent: of all), latest first. */
export const latestOperations = (
  queryable: Queryable,
  { before = Number.MAX_SAFE_INTEGER, limit }: { before?: number; limit: number },
): Promise<LoggedOperation[]> => queryable.query(latestSql, [before, limit]);

/** What was done to one thing, latest first, at most `limit`. */
export const operationsOn = (queryable: Queryable, target: string, limit: number): Promise<LoggedOperation[]> =>
  queryable.query(onTargetSql, [target, limit]);
