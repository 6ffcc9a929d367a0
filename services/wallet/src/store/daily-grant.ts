import type { BuyerId } from "@onsale/contracts/ids";
import { as, bigint, boolean, integer, type Queryable, sql, type Transaction, text, uuid } from "@onsale/postgres";
import type { DailyGrant } from "../daily-grant.ts";

const setGrantSql = sql("wallet.set-daily-grant", {
  takes: [text, text, bigint, text, integer, boolean, as<BuyerId>(uuid)],
  gives: {},
})`
  insert into wallet.daily_grant (name, currency, amount_minor, time_zone, valid_days, is_open, set_by)
  values ($1, $2, $3, $4, $5, $6, $7)
  on conflict (name) do update set currency = excluded.currency, amount_minor = excluded.amount_minor,
    time_zone = excluded.time_zone, valid_days = excluded.valid_days, is_open = excluded.is_open, set_by = excluded.set_by,
    set_at = clock_timestamp()`;

/** Makes a grant, or changes it from now on. */
export async function setDailyGrant(
  queryable: Queryable,
  grant: DailyGrant & { readonly isOpen: boolean; readonly setBy: BuyerId },
): Promise<void> {
  const { name, currency, amountMinor, timeZone, validDays, isOpen, setBy } = grant;
  await queryable.execute(setGrantSql, [name, currency, amountMinor, timeZone, validDays, isOpen, setBy]);
}

const openGrantSql = sql("wallet.open-daily-grant", {
  takes: [text],
  gives: { name: text, currency: text, amountMinor: bigint, timeZone: text, validDays: integer },
})`
  select name, currency, amount_minor as "amountMinor", time_zone as "timeZone", valid_days as "validDays"
  from wallet.daily_grant where name = $1 and is_open`;

export const openGrant = async (queryable: Queryable, name: string): Promise<DailyGrant | undefined> =>
  (await queryable.query(openGrantSql, [name]))[0];

const claimDaySql = sql("wallet.claim-day", { takes: [as<BuyerId>(uuid), text, text, text, bigint], gives: {} })`
  insert into wallet.daily_claim (person_id, name, day, currency, amount_minor)
  values ($1, $2, $3::text::date, $4, $5) on conflict (person_id, name, day) do nothing`;

/** Claims a grant's day for a person; false where it was claimed before, or by somebody who committed while this waited. */
export async function claimDay(
  tx: Transaction,
  claim: { readonly personId: BuyerId; readonly day: string } & Pick<DailyGrant, "name" | "currency" | "amountMinor">,
): Promise<boolean> {
  const { personId, name, day, currency, amountMinor } = claim;
  return (await tx.execute(claimDaySql, [personId, name, day, currency, amountMinor])) === 1;
}
