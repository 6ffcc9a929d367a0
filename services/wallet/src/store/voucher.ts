import type { BuyerId } from "@onsale/contracts/ids";
import {
  array,
  as,
  bigint,
  bytes,
  instant,
  integer,
  json,
  nullable,
  type Queryable,
  sql,
  type Transaction,
  text,
  uuid,
} from "@onsale/postgres";
import type { Bearer } from "../lot.ts";
import type { Voucher } from "../voucher.ts";

export interface StoredBatch {
  readonly batchId: string;
  readonly currency: string;
  readonly faceMinor: number;
  readonly bearers: readonly Bearer[];
  readonly reason: string;
  readonly expiresAt: string | null;
  readonly issuedBy: BuyerId;
}

const insertBatchSql = sql("wallet.insert-voucher-batch", {
  takes: [uuid, text, bigint, integer, json<readonly Bearer[]>(), text, nullable(instant), as<BuyerId>(uuid)],
  gives: {},
})`
  insert into wallet.voucher_batch (batch_id, currency, face_minor, voucher_count, bearers, reason, expires_at, issued_by)
  values ($1, $2, $3, $4, $5, $6, $7, $8)`;

const insertVouchersSql = sql("wallet.insert-vouchers", {
  takes: [array(bytes), uuid, text, bigint, nullable(instant)],
  gives: {},
})`
  insert into wallet.voucher (code_hash, batch_id, currency, remaining_minor, expires_at)
  select code_hash, $2::uuid, $3::text, $4::bigint, $5::timestamptz from unnest($1::bytea[]) as issued(code_hash)`;

/** Writes a batch and its vouchers, each with its whole worth. */
export async function insertVoucherBatch(
  tx: Transaction,
  batch: StoredBatch,
  codeHashes: readonly Buffer[],
): Promise<void> {
  const { batchId, currency, faceMinor, bearers, reason, expiresAt, issuedBy } = batch;
  await Promise.all([
    tx.execute(insertBatchSql, [batchId, currency, faceMinor, codeHashes.length, bearers, reason, expiresAt, issuedBy]),
    tx.execute(insertVouchersSql, [codeHashes, batchId, currency, faceMinor, expiresAt]),
  ]);
}

const lockVoucherSql = sql("wallet.lock-voucher", {
  takes: [bytes],
  gives: {
    batchId: uuid,
    currency: text,
    remainingMinor: bigint,
    expiresAt: nullable(instant),
    bearers: json<readonly Bearer[]>(),
  },
})`
  select v.batch_id as "batchId", v.currency, v.remaining_minor as "remainingMinor", v.expires_at as "expiresAt", b.bearers
  from wallet.voucher v join wallet.voucher_batch b on b.batch_id = v.batch_id
  where v.code_hash = $1 for update of v`;

export const lockVoucher = async (tx: Transaction, codeHash: Buffer): Promise<Voucher | undefined> =>
  (await tx.query(lockVoucherSql, [codeHash]))[0];

const takeFromVoucherSql = sql("wallet.take-from-voucher", { takes: [bytes, bigint], gives: {} })`
  update wallet.voucher set remaining_minor = remaining_minor - $2 where code_hash = $1`;

/** Takes a part out of a locked voucher. */
export async function takeFromVoucher(tx: Transaction, codeHash: Buffer, amountMinor: number): Promise<void> {
  await tx.execute(takeFromVoucherSql, [codeHash, amountMinor]);
}

const voidBatchSql = sql("wallet.void-voucher-batch", {
  takes: [uuid, as<BuyerId>(uuid)],
  gives: { currency: text },
})`
  update wallet.voucher_batch set voided_by = coalesce(voided_by, $2), voided_at = coalesce(voided_at, clock_timestamp())
  where batch_id = $1 returning currency`;

/** Marks a batch as called back, for ever by the first who did; returns its currency, undefined where there is none. */
export const voidBatch = async (tx: Transaction, batchId: string, voidedBy: BuyerId): Promise<string | undefined> =>
  (await tx.query(voidBatchSql, [batchId, voidedBy]))[0]?.currency;

const takeAllOfBatchSql = sql("wallet.take-all-of-batch", { takes: [uuid], gives: { amountMinor: bigint } })`
  with rest as (
    select code_hash, remaining_minor from wallet.voucher where batch_id = $1 and is_open for update),
  emptied as (
    update wallet.voucher v set remaining_minor = 0 from rest where v.code_hash = rest.code_hash
    returning rest.remaining_minor)
  select coalesce(sum(remaining_minor), 0)::bigint as "amountMinor" from emptied`;

/** Empties the vouchers of a batch; returns what was left in them. */
export async function takeAllOfBatch(tx: Transaction, batchId: string): Promise<number> {
  const [row] = await tx.query(takeAllOfBatchSql, [batchId]);
  return row?.amountMinor ?? 0;
}

// now() and not clock_timestamp(): what may change while the statement runs can't be looked up in an index.
const takeEndedSql = sql("wallet.take-ended-vouchers", {
  takes: [bigint],
  gives: { batchId: uuid, currency: text, amountMinor: bigint },
})`
  update wallet.voucher v set remaining_minor = 0
  from (
    select code_hash, remaining_minor from wallet.voucher
    where is_open and expires_at is not null and expires_at <= now()
    order by expires_at limit $1 for update skip locked
  ) as ended
  where v.code_hash = ended.code_hash
  returning v.batch_id as "batchId", v.currency, ended.remaining_minor as "amountMinor"`;

/** Empties vouchers whose time has passed by the database's clock, at most `limit`; returns what was left in each. */
export const takeEndedVouchers = (tx: Transaction, limit: number) => tx.query(takeEndedSql, [limit]);

const readBatchSql = sql("wallet.read-voucher-batch", {
  takes: [uuid],
  gives: {
    batchId: uuid,
    currency: text,
    faceMinor: bigint,
    voucherCount: integer,
    bearers: json<readonly Bearer[]>(),
    reason: text,
    expiresAt: nullable(instant),
    issuedAt: instant,
    voidedAt: nullable(instant),
    openCount: bigint,
    remainingMinor: bigint,
  },
})`
  select batch_id as "batchId", currency, face_minor as "faceMinor", voucher_count as "voucherCount", bearers, reason,
    expires_at as "expiresAt", issued_at as "issuedAt", voided_at as "voidedAt",
    (select count(*) from wallet.voucher v where v.batch_id = b.batch_id and v.is_open) as "openCount",
    (select coalesce(sum(remaining_minor), 0) from wallet.voucher v where v.batch_id = b.batch_id)::bigint as "remainingMinor"
  from wallet.voucher_batch b where batch_id = $1`;

/** A batch and what is left of it; undefined where there is none. */
export const readVoucherBatch = async (queryable: Queryable, batchId: string) =>
  (await queryable.query(readBatchSql, [batchId]))[0];
