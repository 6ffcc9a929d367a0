/** Tasks for a person: what the program must not, or can't, decide by itself. */

import { array, bigint, instant, nullable, type Queryable, sql, type Transaction, text, uuid } from "@onsale/postgres";

export interface NewTask {
  /** UUIDv7, so that the oldest comes first. */
  readonly taskId: string;
  /** What sort of task, for instance `order.undo-overdue`. */
  readonly kind: string;
  /** What it is about, for instance an order's id. At most one task of a kind is open for a key. */
  readonly key: string;
  /** A sentence for the person who will look. */
  readonly what: string;
  /** The event that could not be taken, where it is about one. */
  readonly eventId?: string;
}

export interface OpenTask extends Omit<NewTask, "eventId"> {
  readonly openedAt: string;
}

const openSql = sql("saga.open-tasks", {
  takes: [array(uuid), array(text), array(text), array(text), array(nullable(text))],
  gives: {},
})`
  insert into person_task (task_id, kind, key, what, event_id)
  select task_id, kind, key, what, event_id
  from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[]) as task(task_id, kind, key, what, event_id)
  on conflict (kind, key) where closed_at is null do nothing`;

/** Opens tasks; where one of the kind is open for the key already, that one stays and no other is made. */
export async function openTasks(tx: Transaction, tasks: readonly NewTask[]): Promise<void> {
  if (tasks.length === 0) return;
  await tx.execute(openSql, [
    tasks.map((task) => task.taskId),
    tasks.map((task) => task.kind),
    tasks.map((task) => task.key),
    tasks.map((task) => task.what),
    tasks.map((task) => task.eventId ?? null),
  ]);
}

const listSql = sql("saga.list-open-tasks", {
  takes: [nullable(uuid), bigint],
  gives: { taskId: uuid, kind: text, key: text, what: text, openedAt: instant },
})`
  select task_id as "taskId", kind, key, what, opened_at as "openedAt"
  from person_task
  where closed_at is null and task_id > coalesce($1::uuid, '00000000-0000-0000-0000-000000000000')
  order by task_id
  limit $2`;

/** Open tasks, oldest first, after the one given. */
export async function listOpenTasks(
  queryable: Queryable,
  { after, limit }: { readonly after?: string; readonly limit: number },
): Promise<OpenTask[]> {
  return queryable.query(listSql, [after ?? null, limit]);
}

const openOfKeySql = sql("saga.open-tasks-of-key", {
  takes: [text],
  gives: { taskId: uuid, kind: text, key: text, what: text, openedAt: instant },
})`
  select task_id as "taskId", kind, key, what, opened_at as "openedAt"
  from person_task where key = $1 and closed_at is null order by task_id`;

/** Open tasks about one thing, the oldest first. */
export const openTasksOfKey = (queryable: Queryable, key: string): Promise<OpenTask[]> =>
  queryable.query(openOfKeySql, [key]);

/** A task, open or closed. */
export interface Task extends OpenTask {
  readonly closedAt: string | null;
  readonly closedBy: string | null;
  readonly outcome: string | null;
}

const readTaskSql = sql("saga.read-task", {
  takes: [uuid],
  gives: {
    ...{ taskId: uuid, kind: text, key: text, what: text, openedAt: instant },
    ...{ closedAt: nullable(instant), closedBy: nullable(text), outcome: nullable(text) },
  },
})`
  select task_id as "taskId", kind, key, what, opened_at as "openedAt", closed_at as "closedAt", closed_by as "closedBy", outcome
  from person_task where task_id = $1`;

export const readTask = async (queryable: Queryable, taskId: string): Promise<Task | undefined> =>
  (await queryable.query(readTaskSql, [taskId]))[0];

const closeSql = sql("saga.close-task", { takes: [uuid, text, text], gives: {} })`
  update person_task set closed_at = clock_timestamp(), closed_by = $2, outcome = $3 where task_id = $1 and closed_at is null`;

/** Closes a task, saying who did and what came of it. False where no such task is open. */
export async function closeTask(
  queryable: Queryable,
  { taskId, closedBy, outcome }: { readonly taskId: string; readonly closedBy: string; readonly outcome: string },
): Promise<boolean> {
  return (await queryable.execute(closeSql, [taskId, closedBy, outcome])) > 0;
}

const closeForKeysSql = sql("saga.close-tasks-of-keys", { takes: [text, array(text), text, text], gives: {} })`
  update person_task set closed_at = clock_timestamp(), closed_by = $3, outcome = $4
  where kind = $1 and key = any($2) and closed_at is null`;

/** Closes the tasks of one kind whose cause went away by itself. */
export async function closeTasksOf(
  tx: Transaction,
  {
    kind,
    keys,
    closedBy,
    outcome,
  }: { readonly kind: string; readonly keys: readonly string[]; readonly closedBy: string; readonly outcome: string },
): Promise<void> {
  if (keys.length > 0) await tx.execute(closeForKeysSql, [kind, keys, closedBy, outcome]);
}
