/**
 * What has to be given back and can't be, because the event that asks for it has failed for the last time: a person is
 * called, and called off where it goes after all.
 */

import { array, bigint, integer, type Queryable, sql, type Transaction, text } from "@onsale/postgres";
import { openTasks } from "./tasks.ts";

/** By the type of event that asks for it, or tells that it is done: what is not given back while it lies there. */
export type Compensations = Readonly<Record<string, string>>;

const uncalledSql = sql("saga.uncalled-compensations", {
  takes: [text, array(text), bigint],
  gives: { type: text, key: text, eventId: text, failed: text, attempts: integer, error: text },
})`
  select owed.type, letter.key, letter.event_id as "eventId", letter.type as failed, letter.attempts, letter.error
  from dead_letter letter
  cross join lateral (
    select given.type from unnest($2::text[]) as given(type)
    where given.type = letter.type
      or letter.blocks and exists (
        select from parked_event waiting
        where waiting.reader = letter.reader and waiting.aggregate = letter.aggregate and waiting.key = letter.key
          and waiting.event ->> 'type' = given.type)
    limit 1) owed
  where letter.reader = $1
    and not exists (
      select from person_task called
      where called.event_id = letter.event_id and (called.closed_at is null or called.opened_at >= letter.died_at))
  order by letter.died_at limit $3`;

// A letter whose key is tried again is not done; and who dropped it says in the log why.
const calledOffSql = sql("saga.call-off-compensations", { takes: [text, array(text)], gives: {} })`
  update person_task task
  set closed_at = clock_timestamp(), closed_by = coalesce(dropped.operator, $1),
    outcome = case when dropped.operator is null then 'It was taken after all.'
      else 'Its dead letter was dropped: ' || coalesce(dropped.reason, 'no reason was given') || '.' end
  from person_task same
  left join lateral (
    select log.operator, log.reason from operation_log log
    where log.target = same.event_id and log.operation = 'dead-letter.drop' and log.at >= same.opened_at
    order by log.position desc limit 1) dropped on true
  where task.task_id = same.task_id and same.closed_at is null and same.kind = any($2) and same.event_id is not null
    and not exists (select from dead_letter letter where letter.reader = $1 and letter.event_id = same.event_id)
    and not exists (select from parked_key parked where parked.reader = $1 and parked.key = same.key)`;

const kindOf = (type: string): string => `compensation-failed.${type}`;

// A person can't look at more between two runs; the rest stays to be called for.
const callLimit = 100;

/** Calls a person for each compensation that `reader` has given up, once each time it dies. Gives how many are called. */
export async function callForCompensations(
  tx: Transaction,
  {
    reader,
    compensations,
    ids,
  }: {
    readonly reader: string;
    readonly compensations: Compensations;
    readonly ids: { uuid(): string };
  },
): Promise<number> {
  const types = Object.keys(compensations);
  const uncalled = await tx.query(uncalledSql, [reader, types, callLimit]);
  await openTasks(
    tx,
    uncalled.map((letter) => ({
      taskId: ids.uuid(),
      kind: kindOf(letter.type),
      key: letter.key,
      eventId: letter.eventId,
      what: inWords(reader, compensations[letter.type] ?? "", letter),
    })),
  );
  await callOff(tx, reader, types);
  return uncalled.length;
}

const callOff = (queryable: Queryable, reader: string, types: readonly string[]): Promise<number> =>
  queryable.execute(calledOffSql, [reader, types.map(kindOf)]);

interface FailedLetter {
  readonly type: string;
  readonly eventId: string;
  readonly failed: string;
  readonly attempts: number;
  readonly error: string;
}

// An error's text is as long as whoever threw it wished; a task is read on one screen.
const errorLength = 300;

const inWords = (reader: string, what: string, { type, eventId, failed, attempts, error }: FailedLetter): string =>
  `${what} ${failed === type ? `${type} failed` : `${type} waits behind ${failed}, which failed`} ${attempts} times: ` +
  `${error.slice(0, errorLength).replace(/\.$/, "")}. Look at it with \`dlq show ${reader}/${eventId}\`. Mend the cause and redrive it, or do by hand what ` +
  "it asks for and drop it; this task closes itself then.";
