/**
 * One effect per Idempotency-Key and person, however often the request comes. A refusal rolls its record back with its
 * effect, so a key is spent only by a request that was accepted.
 */

import { hash } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http";
import {
  array,
  bigint,
  type Database,
  integer,
  isLockTimeout,
  type MigrationSet,
  nullable,
  type Queryable,
  sql,
  type Transaction,
  text,
  uuid,
} from "@onsale/postgres";
import type { FastifyReply, FastifyRequest } from "fastify";
import { httpErrors } from "./errors.ts";
import { type ProblemError, problem } from "./problem.ts";

/** The table that a service needs in its schema. */
export const migrations: MigrationSet = { owner: "http", directory: new URL("../migrations/", import.meta.url) };

/** Who asks for what under which key. */
export interface IdempotencyClaim {
  readonly personId: string;
  readonly key: string;
  /** Equal for requests that ask for the same. */
  readonly fingerprint: string;
}

export interface Answer<Body = unknown> {
  readonly status: number;
  readonly body: Body;
}

export type IdempotentAnswer<Body = unknown> = Answer<Body> & {
  /** The answer is that of an earlier request. */
  readonly replayed: boolean;
};

/** The claim that a request makes. @throws {ProblemError} 400 without a usable Idempotency-Key. */
export function idempotencyOf(request: FastifyRequest): IdempotencyClaim {
  const refusal = whyKeyRefused(request.headers);
  if (refusal !== undefined) throw refusal;
  const key = request.headers["idempotency-key"] as string;
  return { personId: request.person.id, key, fingerprint: fingerprintOf(request) };
}

const printableKey = /^[\x21-\x7e](?:[\x20-\x7e]{0,253}[\x21-\x7e])?$/;

/** What is wrong with a request's Idempotency-Key, if anything is. */
export function whyKeyRefused(headers: IncomingHttpHeaders): ProblemError | undefined {
  const key = headers["idempotency-key"];
  if (key === undefined) return problem(400, httpErrors.IDEMPOTENCY_KEY_MISSING);
  if (typeof key !== "string" || !printableKey.test(key)) return problem(400, httpErrors.IDEMPOTENCY_KEY_INVALID);
  return undefined;
}

/** Over the bytes of the body: a client that repeats a request sends the same ones. */
function fingerprintOf({ method, url, rawBody }: FastifyRequest): string {
  const head = Buffer.from(`${method} ${url}\n`);
  return hash("sha256", rawBody === undefined ? head : Buffer.concat([head, rawBody]), "base64");
}

/** The refusal of a key that was used for another request. */
export const keyReused = (): ProblemError => problem(422, httpErrors.IDEMPOTENCY_KEY_REUSED);
/** The refusal of a key that another request holds at this moment. */
export const keyInProgress = (cause?: unknown): ProblemError =>
  problem(409, httpErrors.IDEMPOTENCY_KEY_IN_PROGRESS, { retryAfterSeconds: 1, cause });

/** Sends an answer, marked when it is a replay. Returns the body for the handler to return. */
export function answered<Body>(reply: FastifyReply, { status, body, replayed }: IdempotentAnswer<Body>): Body {
  reply.code(status);
  if (replayed) reply.header("idempotency-replayed", "true");
  return body;
}

interface UnderWay {
  readonly fingerprint: string;
  readonly answer: Promise<Answer>;
}

// Requests under way in this process, by database, person and key: the second waits here for the first's answer instead
// of in PostgreSQL on a connection.
const underWay = new WeakMap<Database, Map<string, UnderWay>>();

/**
 * Does `work` once for this claim, in one transaction with the record of its answer; a repetition gets the recorded
 * answer. What `work` throws rolls both back.
 *
 * @throws {ProblemError} 422 when the key was used for another request; 409 when another process is at it for longer than
 *   the database's lock timeout.
 */
export async function idempotently<Body>(
  database: Database,
  claim: IdempotencyClaim,
  work: (tx: Transaction) => Promise<Answer<Body>>,
): Promise<IdempotentAnswer<Body>> {
  const others = underWay.get(database) ?? new Map<string, UnderWay>();
  underWay.set(database, others);
  const name = `${claim.personId} ${claim.key}`;
  for (let other = others.get(name); other !== undefined; other = others.get(name)) {
    if (other.fingerprint !== claim.fingerprint) throw keyReused();
    const answer = await other.answer.catch(() => undefined);
    if (answer !== undefined) return { ...(answer as Answer<Body>), replayed: true };
  }
  const answer = database.transaction((tx) => claimAndWork(tx, claim, work));
  others.set(name, { fingerprint: claim.fingerprint, answer });
  try {
    return await answer;
  } finally {
    others.delete(name);
  }
}

async function claimAndWork<Body>(
  tx: Transaction,
  { personId, key, fingerprint }: IdempotencyClaim,
  work: (tx: Transaction) => Promise<Answer<Body>>,
): Promise<IdempotentAnswer<Body>> {
  const fresh = await tx.execute(claimKeySql, [personId, key, fingerprint]).catch((error) => {
    throw isLockTimeout(error) ? keyInProgress(error) : error;
  });
  if (fresh === 0) return { ...((await recorded(tx, { personId, key, fingerprint })) as Answer<Body>), replayed: true };
  const { status, body } = await work(tx);
  await tx.execute(recordAnswerSql, [personId, key, status, JSON.stringify(body ?? null)]);
  return { status, body, replayed: false };
}

async function recorded(tx: Transaction, { personId, key, fingerprint }: IdempotencyClaim): Promise<Answer> {
  const [record] = await tx.query(readRecordsSql, [[personId], [key]]);
  // Removed between the two statements because of its age: the client asks again and is first.
  if (record === undefined || record.status === null || record.body === null) throw keyInProgress();
  if (record.fingerprint !== fingerprint) throw keyReused();
  return { status: record.status, body: JSON.parse(record.body) };
}

/** A claim with the answer that it gets if it is the first. */
export type ProspectiveAnswer = IdempotencyClaim & Answer;

export type ClaimOutcome =
  | { readonly kind: "fresh" }
  | { readonly kind: "replay"; readonly status: number; readonly body: unknown }
  | { readonly kind: "reused" };

/**
 * Claims many keys at once and records their answers, for a batch of requests decided in one transaction. Gives one
 * outcome per claim, in their order; of equal claims in one call the first is `fresh` and the others are its replays.
 */
export async function claimKeys(tx: Transaction, claims: readonly ProspectiveAnswer[]): Promise<ClaimOutcome[]> {
  const first = new Map<string, ProspectiveAnswer>();
  for (const claim of claims) if (!first.has(nameOf(claim))) first.set(nameOf(claim), claim);
  const won = await insertClaims(tx, [...first.values()]);
  const lost = [...first.entries()].filter(([name]) => !won.has(name)).map(([, claim]) => claim);
  const records = lost.length === 0 ? new Map<string, Answer & { fingerprint: string }>() : await readRecords(tx, lost);

  return claims.map((claim): ClaimOutcome => {
    const name = nameOf(claim);
    const holder = first.get(name);
    if (holder === claim && won.has(name)) return { kind: "fresh" };
    const record = won.has(name) ? holder : records.get(name);
    if (record === undefined) throw keyInProgress();
    if (record.fingerprint !== claim.fingerprint) return { kind: "reused" };
    return { kind: "replay", status: record.status, body: record.body };
  });
}

/** Whether a request under this key was accepted, within the time that keys are kept. */
export async function isKeySpent(
  on: Queryable,
  { personId, key }: Pick<IdempotencyClaim, "personId" | "key">,
): Promise<boolean> {
  return (await on.query(isKeySpentSql, [personId, key])).length > 0;
}

/** Every key under which something was accepted and that is still kept, in the order of people, some thousands at a time. */
export async function* spentKeys(on: Queryable): AsyncGenerator<{ personId: string; key: string }[]> {
  let after = { personId: "00000000-0000-0000-0000-000000000000", key: "" };
  for (;;) {
    const page = await on.query(spentKeysSql, [after.personId, after.key, keysPerPage]);
    const last = page.at(-1);
    if (last === undefined) return;
    yield page;
    after = last;
  }
}

// A few milliseconds of PostgreSQL's time.
const keysPerPage = 5_000;

/** Gives back keys that were claimed in this transaction for requests that it then refused: a refusal spends no key. */
export async function releaseKeys(tx: Transaction, claims: readonly IdempotencyClaim[]): Promise<void> {
  if (claims.length === 0) return;
  await tx.execute(releaseKeysSql, [claims.map((claim) => claim.personId), claims.map((claim) => claim.key)]);
}

const nameOf = ({ personId, key }: { personId: string; key: string }): string => `${personId} ${key}`;

/** The names of the claims that were first. */
async function insertClaims(tx: Transaction, claims: readonly ProspectiveAnswer[]): Promise<Set<string>> {
  // In the order of the primary key, so that two batches wait for each other instead of deadlocking.
  const sorted = claims.map((claim) => ({ name: nameOf(claim), claim })).sort((a, b) => (a.name < b.name ? -1 : 1));
  const rows = sorted.map(({ claim }) => claim);
  const won = await tx.query(claimKeysSql, [
    rows.map((row) => row.personId),
    rows.map((row) => row.key),
    rows.map((row) => row.fingerprint),
    rows.map((row) => row.status),
    rows.map((row) => JSON.stringify(row.body ?? null)),
  ]);
  return new Set(won.map(nameOf));
}

async function readRecords(
  tx: Transaction,
  claims: readonly IdempotencyClaim[],
): Promise<Map<string, Answer & { fingerprint: string }>> {
  const rows = await tx.query(readRecordsSql, [
    claims.map((claim) => claim.personId),
    claims.map((claim) => claim.key),
  ]);
  return new Map(
    rows.flatMap((row) =>
      row.status === null || row.body === null
        ? []
        : [
            [
              nameOf(row),
              { fingerprint: row.fingerprint, status: row.status, body: JSON.parse(row.body) as unknown },
            ] as const,
          ],
    ),
  );
}

// A day, as promised to clients, and what one run may remove: a tenth of a second of PostgreSQL's time.
const removedPerRun = 5_000;

/** Removes records older than 24 hours, at most 5,000 of them. Gives how many there were; a job repeats it. */
export const forgetOldKeys = (database: Database): Promise<number> =>
  database.execute(forgetOldKeysSql, [removedPerRun]);

const claimKeySql = sql("http.claim-key", { takes: [uuid, text, text], gives: {} })`
  insert into idempotency_record (person_id, key, fingerprint) values ($1, $2, $3) on conflict do nothing`;

const recordAnswerSql = sql("http.record-answer", { takes: [uuid, text, integer, text], gives: {} })`
  update idempotency_record set status = $3, body = $4 where person_id = $1 and key = $2`;

const claimKeysSql = sql("http.claim-keys", {
  takes: [array(uuid), array(text), array(text), array(integer), array(text)],
  gives: { personId: uuid, key: text },
})`
  insert into idempotency_record (person_id, key, fingerprint, status, body)
  select * from unnest($1::uuid[], $2::text[], $3::text[], $4::integer[], $5::text[])
  on conflict do nothing
  returning person_id as "personId", key`;

const releaseKeysSql = sql("http.release-keys", { takes: [array(uuid), array(text)], gives: {} })`
  delete from idempotency_record using unnest($1::uuid[], $2::text[]) as refused(person_id, key)
  where idempotency_record.person_id = refused.person_id and idempotency_record.key = refused.key`;

const readRecordsSql = sql("http.read-records", {
  takes: [array(uuid), array(text)],
  gives: { personId: uuid, key: text, fingerprint: text, status: nullable(integer), body: nullable(text) },
})`
  select person_id as "personId", key, fingerprint, status, body
  from unnest($1::uuid[], $2::text[]) as asked(person_id, key) join idempotency_record using (person_id, key)`;

const isKeySpentSql = sql("http.is-key-spent", { takes: [uuid, text], gives: { personId: uuid } })`
  select person_id as "personId" from idempotency_record where person_id = $1 and key = $2`;

const spentKeysSql = sql("http.spent-keys", { takes: [uuid, text, bigint], gives: { personId: uuid, key: text } })`
  select person_id as "personId", key from idempotency_record where (person_id, key) > ($1, $2)
  order by person_id, key limit $3`;

const forgetOldKeysSql = sql("http.forget-old-keys", { takes: [bigint], gives: {} })`
  delete from idempotency_record where ctid = any (array(
    select ctid from idempotency_record where created_at < now() - interval '24 hours'
    order by created_at limit $1 for update skip locked))`;
