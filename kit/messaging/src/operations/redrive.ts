/**
 * Puts dead letters back where they failed. *Redeliver* keeps the event's id, so whoever deduplicates by it sees the same
 * event; *reprocess* gives it a new one and says of which it is a replay. One at a time, or all that fit a filter at so
 * many a second, as a row that a job works off: it survives a restart and can be cancelled.
 */

import { randomUUID } from "node:crypto";
import {
  as,
  bigint,
  type Database,
  double,
  instant,
  nullable,
  type Queryable,
  sql,
  type Transaction,
  text,
  uuid,
} from "@onsale/postgres";
import { goOn, putBack } from "../consumers/parking.ts";
import type { Delivered } from "../events/event.ts";
import {
  type By,
  countLetters,
  type LetterFilter,
  type LetterName,
  letterNotFound,
  lockLetter,
  notAnEvent,
  removeLetter,
} from "./dead-letters.ts";
import { logOperation } from "./operation-log.ts";
import { type Refusal, refused } from "./refusal.ts";

export type RedriveMode = "redeliver" | "reprocess";

export type Redriven =
  | {
      readonly kind: "redriven";
      /** Under which id it is delivered. */
      readonly eventId: string;
      /** It waits behind another dead letter of its key. */
      readonly blocked: boolean;
    }
  | Refusal<"LETTER_NOT_FOUND" | "NOT_AN_EVENT" | "ALREADY_WAITING">;

/** Puts one letter back at its place among what waits of its key; its reader tries it at once, with all its attempts. */
export async function redriveLetter(
  tx: Transaction,
  redrive: LetterName & By & { readonly mode: RedriveMode; readonly redriveId?: string },
): Promise<Redriven> {
  const { reader, eventId, mode, operator, reason, redriveId } = redrive;
  const letter = await lockLetter(tx, redrive);
  if (!letter) return letterNotFound(redrive);
  if (!letter.readable) return notAnEvent(redrive);
  const event = asMode(letter.event, mode);
  const place = await putBack(tx, reader, event);
  if (place === "there")
    return refused("ALREADY_WAITING", `Event ${event.sequence} of ${letter.key} waits at ${reader} already.`);
  await removeLetter(tx, redrive);
  if (letter.blocks) await goOn(tx, [reader, letter.aggregate, letter.key]);
  await logOperation(tx, {
    operation: `dead-letter.${mode}`,
    reader,
    target: eventId,
    operator,
    reason,
    after: { eventId: event.id, ...(redriveId !== undefined && { redriveId }) },
  });
  return { kind: "redriven", eventId: event.id, blocked: place === "blocked" && !letter.blocks };
}

/** The event as it is delivered in this mode. */
export function asMode(event: Delivered, mode: RedriveMode): Delivered {
  return mode === "redeliver" ? event : { ...event, id: randomUUID(), replayOf: event.replayOf ?? event.id };
}

/** A redrive of many letters, as it stands. */
export interface Redrive {
  readonly redriveId: string;
  readonly reader: string;
  readonly type: string | null;
  readonly cause: string | null;
  readonly key: string | null;
  readonly mode: RedriveMode;
  readonly perSecond: number;
  /** Letters that fitted when it was started. */
  readonly counted: number;
  readonly redriven: number;
  readonly state: "running" | "done" | "cancelled";
  readonly startedBy: string;
  readonly startedAt: string;
  readonly endedAt: string | null;
}

const redriveColumns = {
  redriveId: uuid,
  reader: text,
  type: nullable(text),
  cause: nullable(text),
  key: nullable(text),
  mode: as<RedriveMode>(text),
  perSecond: double,
  counted: bigint,
  redriven: bigint,
  state: as<Redrive["state"]>(text),
  startedBy: text,
  startedAt: instant,
  endedAt: nullable(instant),
};

const startSql = sql("messaging.start-redrive", {
  takes: [uuid, text, nullable(text), nullable(text), nullable(text), as<RedriveMode>(text), double, bigint, text],
  gives: redriveColumns,
})`
  insert into redrive (redrive_id, reader, type, cause, key, mode, per_second, counted, started_by)
  values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
  returning redrive_id as "redriveId", reader, type, cause, key, mode, per_second as "perSecond", counted, redriven, state,
    started_by as "startedBy", started_at as "startedAt", ended_at as "endedAt"`;

const findSql = sql("messaging.find-redrive", { takes: [uuid], gives: redriveColumns })`
  select redrive_id as "redriveId", reader, type, cause, key, mode, per_second as "perSecond", counted, redriven, state,
    started_by as "startedBy", started_at as "startedAt", ended_at as "endedAt"
  from redrive where redrive_id = $1`;

const latestSql = sql("messaging.latest-redrives", { takes: [bigint], gives: redriveColumns })`
  select redrive_id as "redriveId", reader, type, cause, key, mode, per_second as "perSecond", counted, redriven, state,
    started_by as "startedBy", started_at as "startedAt", ended_at as "endedAt"
  from redrive order by started_at desc limit $1`;

const cancelSql = sql("messaging.cancel-redrive", { takes: [uuid], gives: {} })`
  update redrive set state = 'cancelled', ended_at = clock_timestamp() where redrive_id = $1 and state = 'running'`;

const takeStepSql = sql("messaging.take-redrive-step", {
  takes: [bigint],
  gives: {
    redriveId: uuid,
    reader: text,
    mode: as<RedriveMode>(text),
    startedBy: text,
    allowance: bigint,
  },
})`
  select redrive_id as "redriveId", reader, mode, started_by as "startedBy",
    least($1::bigint, floor(extract(epoch from clock_timestamp() - paced_at) * per_second))::bigint as allowance
  from redrive
  where state = 'running' and clock_timestamp() - paced_at >= interval '1 second' / per_second
  order by started_at limit 1 for update skip locked`;

const nextLettersSql = sql("messaging.next-letters-to-redrive", {
  takes: [uuid, bigint],
  gives: { eventId: text, diedAt: instant },
})`
  select event_id as "eventId", died_at as "diedAt"
  from redrive cross join lateral (
    select event_id, died_at from dead_letter as letter
    where letter.reader = redrive.reader and letter.readable and letter.died_at <= redrive.started_at
      and (letter.died_at, letter.event_id) > (redrive.at_died_at, redrive.at_event_id)
      and (redrive.type is null or letter.type = redrive.type) and (redrive.cause is null or letter.cause = redrive.cause)
      and (redrive.key is null or letter.key = redrive.key)
    order by letter.died_at, letter.event_id limit $2
  ) as letter
  where redrive_id = $1 order by died_at, event_id`;

// Paced by its own clock, so that the rate holds whatever a step costs. A process that was away for longer than a second
// does not make up for it by a flood.
const moveStepSql = sql("messaging.move-redrive", { takes: [uuid, bigint, bigint, instant, text], gives: {} })`
  update redrive
  set redriven = redriven + $2, at_died_at = $4, at_event_id = $5,
    paced_at = greatest(paced_at + $3::bigint * interval '1 second' / per_second, clock_timestamp() - interval '1 second')
  where redrive_id = $1`;

const endSql = sql("messaging.end-redrive", { takes: [uuid], gives: {} })`
  update redrive set state = 'done', ended_at = clock_timestamp() where redrive_id = $1`;

export interface RedriveWish extends LetterFilter, By {
  readonly reader: string;
  readonly mode: RedriveMode;
  readonly perSecond: number;
}

/** Begins to redrive all letters that fit and are dead now; undefined when there is none. */
export async function startRedrive(tx: Transaction, wish: RedriveWish): Promise<Redrive | undefined> {
  const counted = await countLetters(tx, wish);
  if (counted === 0) return undefined;
  const { reader, type = null, cause = null, key = null, mode, perSecond, operator, reason } = wish;
  const parameters = [randomUUID(), reader, type, cause, key, mode, perSecond, counted, operator] as const;
  const [started] = await tx.query(startSql, parameters);
  if (!started) throw new Error("The redrive was not written.");
  const after = { type, cause, key, mode, perSecond, counted };
  await logOperation(tx, { operation: "redrive.start", reader, target: started.redriveId, operator, reason, after });
  return started;
}

/** A redrive as it stands; undefined when it isn't there. */
export async function findRedrive(queryable: Queryable, redriveId: string): Promise<Redrive | undefined> {
  const [redrive] = await queryable.query(findSql, [redriveId]);
  return redrive;
}

/** The redrives begun last. */
export const latestRedrives = (queryable: Queryable, limit: number): Promise<Redrive[]> =>
  queryable.query(latestSql, [limit]);

export type Cancelled =
  | { readonly kind: "cancelled"; readonly redrive: Redrive }
  | Refusal<"REDRIVE_NOT_FOUND" | "REDRIVE_ENDED">;

/** Stops a redrive. What it has put back stays so; the step under way is waited for. */
export async function cancelRedrive(
  tx: Transaction,
  { redriveId, operator, reason }: By & { redriveId: string },
): Promise<Cancelled> {
  const cancelled = await tx.execute(cancelSql, [redriveId]);
  const redrive = await findRedrive(tx, redriveId);
  if (!redrive) return refused("REDRIVE_NOT_FOUND", `There is no redrive ${redriveId}.`);
  if (cancelled === 0) return refused("REDRIVE_ENDED", `The redrive ${redriveId} is ${redrive.state} already.`);
  const { reader, redriven, counted } = redrive;
  const after = { redriven, counted };
  await logOperation(tx, { operation: "redrive.cancel", reader, target: redriveId, operator, reason, after });
  return { kind: "cancelled", redrive };
}

/** Letters of one step: its transaction ends within a second, so that a cancel need not wait longer. */
const stepLimit = 50;

/** A redrive was carried on by so many letters. */
export interface RedriveStep {
  readonly reader: string;
  readonly mode: RedriveMode;
  readonly redriven: number;
  /** It has looked at every letter that it was for. */
  readonly done: boolean;
}

/**
 * Carries the oldest running redrive on by what its rate allows now; undefined when none is running, or none may go on
 * yet. Processes that call it at once take different redrives, so that together they keep each one's rate.
 */
export function stepRedrive(database: Database): Promise<RedriveStep | undefined> {
  return database.transaction(async (tx) => {
    const [step] = await tx.query(takeStepSql, [stepLimit]);
    if (!step) return undefined;
    const { redriveId, reader, mode, startedBy, allowance } = step;
    const letters = await tx.query(nextLettersSql, [redriveId, allowance]);
    let redriven = 0;
    for (const { eventId } of letters) {
      const outcome = await redriveLetter(tx, { reader, eventId, mode, operator: startedBy, redriveId });
      if (outcome.kind === "redriven") redriven++;
    }
    const last = letters.at(-1);
    if (last) await tx.execute(moveStepSql, [redriveId, redriven, letters.length, last.diedAt, last.eventId]);
    const done = letters.length < allowance;
    if (done) await tx.execute(endSql, [redriveId]);
    return { reader, mode, redriven, done };
  });
}
