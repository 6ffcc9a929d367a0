import {
  array,
  as,
  bigint,
  boolean,
  bytes,
  double,
  integer,
  nullable,
  type Queryable,
  sql,
  type Transaction,
  text,
  uuid,
  voids,
} from "@onsale/postgres";
import type { PersonalChannel } from "../message.ts";

const recipient = {
  personId: uuid,
  language: text,
  email: nullable(text),
  emailConfirmed: boolean,
  pushToken: nullable(text),
  orders: array(as<PersonalChannel>(text)),
  news: array(as<PersonalChannel>(text)),
};

const readRecipientsSql = sql("notifications.read-recipients", { takes: [array(uuid)], gives: recipient })`
  select person_id as "personId", language, email, email_confirmed_at is not null as "emailConfirmed",
    push_token as "pushToken", orders, news
  from notifications.recipient where person_id = any($1)`;

export type Recipient = Awaited<ReturnType<typeof readRecipients>> extends ReadonlyMap<string, infer Row> ? Row : never;

/** By person; who chose nothing is absent. */
export async function readRecipients(database: Queryable, personIds: readonly string[]) {
  const rows = await database.query(readRecipientsSql, [personIds]);
  return new Map(rows.map((row) => [row.personId, row]));
}

const lockRecipientSql = sql("notifications.lock-recipient", {
  takes: [uuid],
  gives: {
    ...recipient,
    codeHash: nullable(bytes),
    codeExpired: boolean,
    wrongCodes: integer,
  },
})`
  select person_id as "personId", language, email, email_confirmed_at is not null as "emailConfirmed",
    push_token as "pushToken", orders, news, code_hash as "codeHash",
    coalesce(code_expires_at <= clock_timestamp(), true) as "codeExpired", wrong_codes as "wrongCodes"
  from notifications.recipient where person_id = $1 for update`;

export type LockedRecipient = NonNullable<Awaited<ReturnType<typeof lockRecipient>>>;

export const lockRecipient = async (tx: Transaction, personId: string) =>
  (await tx.query(lockRecipientSql, [personId]))[0];

const putRecipientSql = sql("notifications.put-recipient", {
  takes: [uuid, text, nullable(text), nullable(text), array(text), array(text), boolean],
  gives: {},
})`
  insert into notifications.recipient as recipient (person_id, language, email, push_token, orders, news)
  values ($1, $2, $3, $4, $5, $6)
  on conflict (person_id) do update set
    language = excluded.language, push_token = excluded.push_token, orders = excluded.orders, news = excluded.news,
    changed_at = clock_timestamp(), email = excluded.email,
    email_confirmed_at = case when $7 then recipient.email_confirmed_at end,
    code_hash = case when $7 then recipient.code_hash end,
    code_expires_at = case when $7 then recipient.code_expires_at end,
    wrong_codes = case when $7 then recipient.wrong_codes else 0 end`;

export interface PutRecipient {
  readonly personId: string;
  readonly language: string;
  readonly email: string | null;
  readonly pushToken: string | null;
  readonly orders: readonly PersonalChannel[];
  readonly news: readonly PersonalChannel[];
  /** The address is the one that was there: what is known of it stays. */
  readonly keepsEmail: boolean;
}

export const putRecipient = (tx: Transaction, put: PutRecipient): Promise<number> =>
  tx.execute(putRecipientSql, [
    put.personId,
    put.language,
    put.email,
    put.pushToken,
    put.orders,
    put.news,
    put.keepsEmail,
  ]);

const endNewsByMailSql = sql("notifications.end-news-by-mail", { takes: [uuid], gives: {} })`
  update notifications.recipient set news = array_remove(news, 'mail'), changed_at = clock_timestamp()
  where person_id = $1 and 'mail' = any(news)`;

/** 1 where they had it until now. What waits to be sent is withdrawn when its turn comes. */
export const endNewsByMail = (database: Queryable, personId: string): Promise<number> =>
  database.execute(endNewsByMailSql, [personId]);

const setCodeSql = sql("notifications.set-code", { takes: [uuid, bytes, double], gives: {} })`
  update notifications.recipient
  set code_hash = $2, code_expires_at = clock_timestamp() + $3 * interval '1 millisecond', wrong_codes = 0
  where person_id = $1`;

export const setCode = (tx: Transaction, personId: string, codeHash: Buffer, lifeMs: number): Promise<number> =>
  tx.execute(setCodeSql, [personId, codeHash, lifeMs]);

const confirmEmailSql = sql("notifications.confirm-email", { takes: [uuid], gives: {} })`
  update notifications.recipient
  set email_confirmed_at = clock_timestamp(), code_hash = null, code_expires_at = null, wrong_codes = 0
  where person_id = $1`;

export const confirmEmail = (tx: Transaction, personId: string): Promise<number> =>
  tx.execute(confirmEmailSql, [personId]);

const countWrongCodeSql = sql("notifications.count-wrong-code", { takes: [uuid], gives: {} })`
  update notifications.recipient set wrong_codes = wrong_codes + 1 where person_id = $1`;

export const countWrongCode = (tx: Transaction, personId: string): Promise<number> =>
  tx.execute(countWrongCodeSql, [personId]);

const forgetRecipientSql = sql("notifications.forget-recipient", { takes: [uuid], gives: {} })`
  delete from notifications.recipient where person_id = $1`;

export const forgetRecipient = async (tx: Transaction, personId: string): Promise<boolean> =>
  (await tx.execute(forgetRecipientSql, [personId])) === 1;

const askAddressSql = sql("notifications.ask-address", { takes: [bytes, double], gives: {} })`
  insert into notifications.asked_address as asked (address_hash, asked_at) values ($1, clock_timestamp())
  on conflict (address_hash) do update set asked_at = excluded.asked_at
    where asked.asked_at <= clock_timestamp() - $2 * interval '1 millisecond'`;

/** Notes that an address is asked now. False where it was asked less than `pauseMs` milliseconds ago, by whomever. */
export const askAddress = async (tx: Transaction, addressHash: Buffer, pauseMs: number): Promise<boolean> =>
  (await tx.execute(askAddressSql, [addressHash, pauseMs])) === 1;

const forgetAskedSql = sql("notifications.forget-asked", { takes: [double, bigint], gives: {} })`
  delete from notifications.asked_address where address_hash = any (array(
    select address_hash from notifications.asked_address
    where asked_at <= clock_timestamp() - $1 * interval '1 millisecond'
    order by asked_at limit $2 for update skip locked))`;

export const forgetAsked = (database: Queryable, afterMs: number, limit: number): Promise<number> =>
  database.execute(forgetAskedSql, [afterMs, limit]);

const lockPersonSql = sql("notifications.lock-person", { takes: [text], gives: { locked: voids } })`
  select pg_advisory_xact_lock(hashtextextended($1, 0)) as locked`;

/** Who chooses and who erases the same person wait for each other, also where there is no row yet. */
export const lockPerson = (tx: Transaction, personId: string) => tx.query(lockPersonSql, [personId]);

const rememberErasedSql = sql("notifications.remember-erased", { takes: [uuid], gives: {} })`
  insert into notifications.erased_person (person_id) values ($1) on conflict do nothing`;

export const rememberErased = (tx: Transaction, personId: string): Promise<number> =>
  tx.execute(rememberErasedSql, [personId]);

const isErasedSql = sql("notifications.is-erased", { takes: [uuid], gives: { erased: boolean } })`
  select exists (select from notifications.erased_person where person_id = $1) as erased`;

export const isErased = async (tx: Transaction, personId: string): Promise<boolean> =>
  (await tx.query(isErasedSql, [personId])).some(({ erased }) => erased);

const forgetErasedSql = sql("notifications.forget-erased", { takes: [double, bigint], gives: {} })`
  delete from notifications.erased_person where person_id = any (array(
    select person_id from notifications.erased_person
    where erased_at <= clock_timestamp() - $1 * interval '1 millisecond'
    order by erased_at limit $2 for update skip locked))`;

export const forgetErased = (database: Queryable, afterMs: number, limit: number): Promise<number> =>
  database.execute(forgetErasedSql, [afterMs, limit]);

const nextForNewsSql = sql("notifications.next-for-news", {
  takes: [nullable(uuid), nullable(array(uuid)), bigint],
  gives: recipient,
})`
  select person_id as "personId", language, email, email_confirmed_at is not null as "emailConfirmed",
    push_token as "pushToken", orders, news
  from notifications.recipient
  where news <> '{}' and person_id > coalesce($1, '00000000-0000-0000-0000-000000000000'::uuid)
    and ($2::uuid[] is null or person_id = any($2))
  order by person_id limit $3`;

/** The next people who want news, after one of them; where there is a list, of those on it. */
export const nextForNews = (
  tx: Transaction,
  { after, among, limit }: { after: string | null; among: readonly string[] | null; limit: number },
) => tx.query(nextForNewsSql, [after, among, limit]);
