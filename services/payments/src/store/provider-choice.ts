import {
  array,
  bigint,
  boolean,
  double,
  instant,
  integer,
  nullable,
  type Queryable,
  sql,
  type Transaction,
  text,
  uuid,
} from "@onsale/postgres";

/** To which provider new payments of a line go. */
export interface ProviderChoice {
  readonly active: string;
  /** Since when. */
  readonly since: string;
  /** Counts the facts told of the line. */
  readonly version: number;
}

const choice = { active: text, since: instant, version: integer };

const readChoiceSql = sql("payments.read-provider-choice", { takes: [], gives: choice })`
  select active, since, version from payments.provider_choice where line = 'card'`;

/** Undefined before the first process of this database has looked after its providers. */
export const readChoice = async (queryable: Queryable): Promise<ProviderChoice | undefined> =>
  (await queryable.query(readChoiceSql, []))[0];

const lockChoiceSql = sql("payments.lock-provider-choice", { takes: [], gives: choice })`
  select active, since, version from payments.provider_choice where line = 'card' for update`;

/** Whoever holds it decides alone about the providers: the key row of the provider-line.* events. */
export async function lockChoice(tx: Transaction): Promise<ProviderChoice> {
  const [row] = await tx.query(lockChoiceSql, []);
  if (row === undefined) throw new Error("No provider has been chosen yet.");
  return row;
}

const introduceProvidersSql = sql("payments.introduce-providers", { takes: [array(text)], gives: {} })`
  insert into payments.provider (name) select name from unnest($1::text[]) as known(name) on conflict do nothing`;
const introduceChoiceSql = sql("payments.introduce-provider-choice", { takes: [text], gives: {} })`
  insert into payments.provider_choice (line, active) values ('card', $1) on conflict do nothing`;

/** Makes these providers known, and the first of them the chosen one where none is. */
export async function introduceProviders(tx: Transaction, names: readonly string[]): Promise<void> {
  await tx.execute(introduceProvidersSql, [names.toSorted()]);
  await tx.execute(introduceChoiceSql, [names[0] ?? ""]);
}

const chooseSql = sql("payments.choose-provider", { takes: [text], gives: {} })`
  update payments.provider_choice set active = $1, since = clock_timestamp(), version = version + 1 where line = 'card'`;

/** Gives new payments to another. The caller holds the choice's lock. */
export async function choose(tx: Transaction, name: string): Promise<void> {
  await tx.execute(chooseSql, [name]);
}

const countFactSql = sql("payments.count-provider-fact", { takes: [], gives: { version: integer } })`
  update payments.provider_choice set version = version + 1 where line = 'card' returning version`;

/** Counts a fact of the line that changes no choice. The caller holds the choice's lock. */
export async function countFact(tx: Transaction): Promise<number> {
  return (await tx.query(countFactSql, []))[0]?.version ?? 0;
}

export interface ProviderRow {
  readonly name: string;
  readonly isDown: boolean;
  readonly since: string;
}

const readProvidersSql = sql("payments.read-providers", {
  takes: [array(text)],
  gives: { name: text, isDown: boolean, since: instant },
})`
  select name, is_down as "isDown", since from payments.provider where name = any($1::text[])`;

/** Those of these providers that are known. */
export const readProviders = (queryable: Queryable, names: readonly string[]): Promise<ProviderRow[]> =>
  queryable.query(readProvidersSql, [names]);

const markDownSql = sql("payments.mark-provider-down", { takes: [text], gives: {} })`
  update payments.provider set is_down = true, since = clock_timestamp(), next_probe_at = clock_timestamp(), answered_probes = 0
  where name = $1 and not is_down`;

export async function markDown(tx: Transaction, name: string): Promise<void> {
  await tx.execute(markDownSql, [name]);
}

const markUpSql = sql("payments.mark-provider-up", { takes: [text, integer], gives: {} })`
  update payments.provider set is_down = false, since = clock_timestamp(), next_probe_at = null
  where name = $1 and is_down and answered_probes >= $2`;

/** True when it was down, and has answered so often in a row. */
export const markUp = async (tx: Transaction, name: string, answered: number): Promise<boolean> =>
  (await tx.execute(markUpSql, [name, answered])) > 0;

const claimProbesSql = sql("payments.claim-probes", { takes: [array(text), double], gives: { name: text } })`
  update payments.provider set next_probe_at = clock_timestamp() + make_interval(secs => $2)
  where is_down and name = any($1::text[]) and next_probe_at <= clock_timestamp()
  returning name`;

/** Those of these providers that are down and to be probed now; each is given to one process. */
export async function claimProbes(
  queryable: Queryable,
  { names, everyMs }: { readonly names: readonly string[]; readonly everyMs: number },
): Promise<string[]> {
  return (await queryable.query(claimProbesSql, [names, everyMs / 1_000])).map(({ name }) => name);
}

const noteProbeSql = sql("payments.note-probe", { takes: [text, boolean], gives: { answeredProbes: integer } })`
  update payments.provider set answered_probes = case when $2 then answered_probes + 1 else 0 end
  where name = $1 and is_down
  returning answered_probes as "answeredProbes"`;

/** How often it has answered in a row now. */
export const noteProbe = async (queryable: Queryable, name: string, hasAnswered: boolean): Promise<number> =>
  (await queryable.query(noteProbeSql, [name, hasAnswered]))[0]?.answeredProbes ?? 0;

const noteFailuresSql = sql("payments.note-provider-failures", { takes: [array(text), array(integer)], gives: {} })`
  insert into payments.provider_failure (provider, count)
  select provider, count from unnest($1::text[], $2::int[]) as failed(provider, count)`;

/** Counts calls that were not answered. A row a batch and no counter: processes that fail together don't wait for each other. */
export async function noteFailures(tx: Transaction, counts: ReadonlyMap<string, number>): Promise<void> {
  if (counts.size > 0) await tx.execute(noteFailuresSql, [[...counts.keys()], [...counts.values()]]);
}

const anomaliesSql = sql("payments.read-anomalies", {
  takes: [text, double, double],
  gives: { failures: bigint, isPendingLong: boolean },
})`
  with known as materialized (
    select greatest(provider.since, (select since from payments.provider_choice where line = 'card' and active = $1)) as since
    from payments.provider where name = $1)
  select
    (select coalesce(sum(count), 0)::bigint from payments.provider_failure
      where provider = $1 and at > now() - make_interval(secs => $2) and at > (select since from known)) as failures,
    exists (
      select from payments.unsettled join payments.payment using (order_id)
      where unsettled.since < now() - make_interval(secs => $3) and unsettled.since > (select since from known)
        and payment.provider = $1 and payment.ask_movement = 'authorise') as "isPendingLong"`;

/**
 * What went wrong at a provider since it came back, or was given the new payments: what was left from before its last
 * trouble must not condemn it again.
 */
export async function readAnomalies(
  queryable: Queryable,
  name: string,
  { withinMs, pendingMs }: { readonly withinMs: number; readonly pendingMs: number },
): Promise<{ failures: number; isPendingLong: boolean }> {
  const [row] = await queryable.query(anomaliesSql, [name, withinMs / 1_000, pendingMs / 1_000]);
  return row ?? { failures: 0, isPendingLong: false };
}

const forgetFailuresSql = sql("payments.forget-provider-failures", { takes: [double], gives: {} })`
  delete from payments.provider_failure where at < now() - make_interval(secs => $1)`;

/** Removes counts that no rule looks at any more. */
export async function forgetFailures(queryable: Queryable, olderThanMs: number): Promise<void> {
  await queryable.execute(forgetFailuresSql, [olderThanMs / 1_000]);
}

export interface ProviderIncident {
  readonly what: "DOWN" | "SWITCHED" | "RECOVERED";
  readonly provider: string;
  readonly why: string;
  /** The operator who did it; null where the rule did. */
  readonly doneBy: string | null;
}

const recordIncidentSql = sql("payments.record-provider-incident", {
  takes: [text, text, text, nullable(uuid)],
  gives: {},
})`
  insert into payments.provider_incident (what, provider, why, done_by) values ($1, $2, $3, $4)`;

export async function recordProviderIncident(tx: Transaction, incident: ProviderIncident): Promise<void> {
  const { what, provider, why, doneBy } = incident;
  await tx.execute(recordIncidentSql, [what, provider, why, doneBy]);
}

const incidentsSql = sql("payments.list-provider-incidents", {
  takes: [bigint],
  gives: { what: text, provider: text, why: text, doneBy: nullable(uuid), at: instant },
})`
  select what, provider, why, done_by as "doneBy", at from payments.provider_incident order by incident_id desc limit $1`;

/** The newest first. */
export const listProviderIncidents = (queryable: Queryable, limit: number) => queryable.query(incidentsSql, [limit]);
