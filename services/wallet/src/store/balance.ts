import type { BuyerId } from "@onsale/contracts/ids";
import { as, bigint, instant, integer, json, nullable, type Queryable, sql, text, uuid } from "@onsale/postgres";
import type { Bearer, LotSource } from "../lot.ts";

const balancesSql = sql("wallet.balances-of-person", {
  takes: [as<BuyerId>(uuid), integer],
  gives: { currency: text, availableMinor: bigint, heldMinor: bigint, debtMinor: bigint, endingSoonMinor: bigint },
})`
  select b.currency, (b.available_minor - coalesce(lots.ended_minor, 0))::bigint as "availableMinor",
    b.held_minor as "heldMinor", b.debt_minor as "debtMinor", coalesce(lots.ending_minor, 0)::bigint as "endingSoonMinor"
  from wallet.balance b
  left join lateral (
    select sum(remaining_minor) filter (where expires_at <= clock_timestamp()) as ended_minor,
      sum(remaining_minor) filter (
        where expires_at > clock_timestamp() and expires_at <= clock_timestamp() + make_interval(days => $2)) as ending_minor
    from wallet.lot l where l.person_id = b.person_id and l.currency = b.currency and l.is_open) as lots on true
  where b.person_id = $1
  order by b.currency`;

/** What a person has per currency. What has ended counts as gone, also before the job has come that ends it. */
export const balancesOf = (queryable: Queryable, personId: BuyerId, soonDays: number) =>
  queryable.query(balancesSql, [personId, soonDays]);

const lotsSql = sql("wallet.lots-of-person", {
  takes: [as<BuyerId>(uuid), bigint],
  gives: {
    lotId: uuid,
    currency: text,
    source: as<LotSource>(text),
    bearers: json<readonly Bearer[]>(),
    remainingMinor: bigint,
    expiresAt: nullable(instant),
  },
})`
  select lot_id as "lotId", currency, source, bearers, remaining_minor as "remainingMinor", expires_at as "expiresAt"
  from wallet.lot where person_id = $1 and is_open
  order by person_id, currency, expires_at, lot_id
  limit $2`;

/** What a person's balances are made of, the lots that end first in front, at most `limit`. */
export const lotsOf = (queryable: Queryable, personId: BuyerId, limit: number) =>
  queryable.query(lotsSql, [personId, limit]);
