import type { BuyerId } from "@onsale/contracts/ids";
import { as, bigint, sql, type Transaction, text, uuid } from "@onsale/postgres";

export interface StoredCredit {
  readonly creditId: string;
  readonly personId: BuyerId;
  readonly currency: string;
  readonly amountMinor: number;
  readonly reason: string;
  readonly creditedBy: BuyerId;
}

const insertCreditSql = sql("wallet.insert-credit", {
  takes: [uuid, as<BuyerId>(uuid), text, bigint, text, as<BuyerId>(uuid)],
  gives: {},
})`
  insert into wallet.credit (credit_id, person_id, currency, amount_minor, reason, credited_by)
  values ($1, $2, $3, $4, $5, $6)`;

export async function insertCredit(tx: Transaction, credit: StoredCredit): Promise<void> {
  const { creditId, personId, currency, amountMinor, reason, creditedBy } = credit;
  await tx.execute(insertCreditSql, [creditId, personId, currency, amountMinor, reason, creditedBy]);
}
