/**
 * What the wallet promises: points are neither made nor lost, nobody has less than nothing, and what orders were paid with
 * points is what the wallet spent for them. Where nobody ever used points there are orders and no points, so each check also
 * counts what is always there: the orders that it compares, or the cursor by which the wallet hears of them.
 */

import { sql } from "@onsale/postgres";
import { type Check, finding, statementCheck } from "./check.ts";

const balancedSql = sql("audit.wallet-balanced", { takes: [], gives: finding })`
  with bad as (
    select format('entry %s (%s) of %s: %s %s available, %s held, %s owed, %s in vouchers, %s in the shop''s account %s', position,
      kind, coalesce(person_id::text, 'nobody'), currency, available_minor, held_minor, debt_minor, voucher_minor, shop_minor,
      coalesce(shop_account, 'of none')) as what
    from wallet.entry where available_minor + held_minor - debt_minor + voucher_minor + shop_minor <> 0)
  select (select count(*) from wallet.entry) + (select count(*) from wallet.reader_cursor where source = 'orders') as rows,
    (select count(*) from bad) as offending, array(select what from bad order by what limit 10) as examples`;

const balancesSql = sql("audit.wallet-balances", { takes: [], gives: finding })`
  with moved as (
    select person_id, currency, sum(available_minor) as available, sum(held_minor) as held, sum(debt_minor) as debt
    from wallet.entry where person_id is not null group by person_id, currency),
  compared as (
    select coalesce(balance.person_id, moved.person_id) as person_id, coalesce(balance.currency, moved.currency) as currency,
      available_minor, held_minor, debt_minor, coalesce(available, 0) as available, coalesce(held, 0) as held,
      coalesce(debt, 0) as debt
    from wallet.balance as balance
    full join moved on moved.person_id = balance.person_id and moved.currency = balance.currency),
  bad as (
    select format('%s of %s: the balance has %s, holds %s and owes %s; its entries add up to %s, %s and %s', currency, person_id,
      available_minor, held_minor, debt_minor, available, held, debt) as what
    from compared
    where (available_minor, held_minor, debt_minor) is distinct from (available, held, debt)
      or least(available_minor, held_minor, debt_minor) < 0 or (debt_minor > 0 and available_minor > 0))
  select (select count(*) from compared) + (select count(*) from wallet.reader_cursor where source = 'orders') as rows,
    (select count(*) from bad) as offending, array(select what from bad order by what limit 10) as examples`;

const lotsSql = sql("audit.wallet-lots", { takes: [], gives: finding })`
  with lots as (
    select person_id, currency, sum(remaining_minor) as remaining, min(remaining_minor) as least
    from wallet.lot group by person_id, currency),
  compared as (
    select coalesce(balance.person_id, lots.person_id) as person_id, coalesce(balance.currency, lots.currency) as currency,
      available_minor, coalesce(remaining, 0) as remaining, coalesce(least, 0) as least
    from wallet.balance as balance
    full join lots on lots.person_id = balance.person_id and lots.currency = balance.currency),
  bad as (
    select format('%s of %s: the balance has %s, its lots %s', currency, person_id, available_minor, remaining) as what
    from compared where available_minor is distinct from remaining or least < 0)
  select (select count(*) from compared) + (select count(*) from wallet.reader_cursor where source = 'orders') as rows,
    (select count(*) from bad) as offending, array(select what from bad order by what limit 10) as examples`;

const vouchersSql = sql("audit.wallet-vouchers", { takes: [], gives: finding })`
  with moved as (
    select document_id as batch_id, sum(voucher_minor) as moved,
      sum(voucher_minor) filter (where kind = 'VOUCHERS_ISSUED') as issued
    from wallet.entry where voucher_minor <> 0 group by document_id),
  left_in as (
    select batch_id, sum(remaining_minor) as remaining, max(remaining_minor) as most, count(*) as vouchers
    from wallet.voucher group by batch_id),
  compared as (
    select coalesce(batch.batch_id, moved.batch_id) as batch_id, batch.face_minor, batch.voucher_count,
      coalesce(remaining, 0) as remaining, coalesce(most, 0) as most, coalesce(vouchers, 0) as vouchers,
      coalesce(moved, 0) as moved, coalesce(issued, 0) as issued
    from wallet.voucher_batch as batch
    full join moved on moved.batch_id = batch.batch_id
    left join left_in on left_in.batch_id = batch.batch_id),
  bad as (
    select format('batch %s: %s of %s vouchers of %s were issued for %s, and have %s left; the ledger says %s', batch_id, vouchers,
      voucher_count, face_minor, issued, remaining, moved) as what
    from compared
    where face_minor is null or vouchers <> voucher_count or issued <> face_minor * voucher_count or remaining <> moved
      or most > face_minor)
  select (select count(*) from compared) + (select count(*) from wallet.reader_cursor where source = 'orders') as rows,
    (select count(*) from bad) as offending, array(select what from bad order by what limit 10) as examples`;

const ordersSql = sql("audit.wallet-orders", { takes: [], gives: finding })`
  with moved as (
    select order_id, sum(held_minor) as held, coalesce(sum(shop_minor) filter (where shop_account = 'revenue'), 0) as spent
    from wallet.entry where order_id is not null group by order_id),
  parts as (
    select order_id, sum(amount_minor) as taken, sum(given_back_minor) as given_back from wallet.order_part group by order_id),
  returns as (select order_id, sum(given_back_minor) as given_back from wallet.order_return group by order_id),
  compared as (
    select coalesce(points.order_id, moved.order_id) as order_id, points.state, points.amount_minor,
      coalesce(moved.held, 0) as held, coalesce(moved.spent, 0) as spent, coalesce(parts.taken, 0) as taken,
      coalesce(parts.given_back, 0) as given_back, coalesce(returns.given_back, 0) as for_returns
    from wallet.order_points as points
    full join moved on moved.order_id = points.order_id
    left join parts on parts.order_id = points.order_id
    left join returns on returns.order_id = points.order_id),
  bad as (
    select format('order %s (%s) wanted %s: it took %s from its lots and gave back %s (%s for returns); its entries hold %s and spent %s',
      order_id, coalesce(state, 'without points'), amount_minor, taken, given_back, for_returns, held, spent) as what
    from compared
    where (held, spent) is distinct from (
        case when state = 'HELD' then amount_minor else 0 end,
        case when state = 'SPENT' then amount_minor - given_back else 0 end)
      or taken <> case when state is null or state = 'REFUSED' then 0 else amount_minor end
      or given_back <> case state when 'SPENT' then for_returns when 'RELEASED' then amount_minor else 0 end)
  select (select count(*) from compared) + (select count(*) from wallet.reader_cursor where source = 'orders') as rows,
    (select count(*) from bad) as offending, array(select what from bad order by what limit 10) as examples`;

const endedHoldNothingSql = sql("audit.wallet-ended-hold-nothing", { takes: [], gives: finding })`
  with compared as (
    select coalesce(placed.order_id, points.order_id) as order_id, placed.status, points.state
    from orders.orders as placed full join wallet.order_points as points on points.order_id = placed.order_id),
  bad as (
    select case when status is null then format('order %s has points (%s) and does not exist', order_id, state)
      else format('order %s ended %s, but its points are %s', order_id, status, state) end as what
    from compared
    where status is null or (status <> 'PENDING' and state = 'HELD')
      or (status in ('REJECTED', 'CANCELLED') and state = 'SPENT'))
  select (select count(*) from compared) as rows, (select count(*) from bad) as offending,
    array(select what from bad order by what limit 10) as examples`;

const ordersPaidSql = sql("audit.wallet-orders-paid", { takes: [], gives: finding })`
  with moved as (
    select order_id, coalesce(sum(shop_minor) filter (where shop_account = 'revenue'), 0) as spent
    from wallet.entry where order_id is not null group by order_id),
  compared as (
    select placed.order_id, placed.status, placed.buyer_id, placed.currency, placed.points_minor, placed.paid_points_minor,
      placed.refunded_points_minor, points.state, points.person_id, points.currency as points_currency, points.amount_minor,
      coalesce(moved.spent, 0) as spent
    from orders.orders as placed
    left join wallet.order_points as points on points.order_id = placed.order_id
    left join moved on moved.order_id = placed.order_id),
  bad as (
    select format('order %s is %s and says that %s of %s %s were paid with points, and %s given back; the wallet has %s of %s (%s) and %s of them spent',
      order_id, status, paid_points_minor, currency, points_minor, refunded_points_minor, amount_minor, points_currency,
      coalesce(state, 'nothing'), spent) as what
    from compared
    where (status <> 'PENDING' and spent <> paid_points_minor - refunded_points_minor)
      or (status in ('REJECTED', 'CANCELLED') and spent <> 0)
      or (state is not null and (buyer_id, currency, points_minor) is distinct from (person_id, points_currency, amount_minor)))
  select (select count(*) from compared) as rows, (select count(*) from bad) as offending,
    array(select what from bad order by what limit 10) as examples`;

const earnedSql = sql("audit.wallet-earned", { takes: [], gives: finding })`
  with moved as (
    select order_id, coalesce(-sum(shop_minor) filter (where kind = 'EARNED'), 0) as earned,
      coalesce(sum(shop_minor) filter (where kind in ('TAKEN_BACK', 'OWED')), 0) as taken_back
    from wallet.entry where kind in ('EARNED', 'TAKEN_BACK', 'OWED') group by order_id),
  refunded as (select order_id, sum(refund_minor) as refunded from orders.order_return group by order_id),
  compared as (
    select coalesce(placed.order_id, moved.order_id, earning.order_id) as order_id, placed.status,
      placed.total_minor - placed.points_minor as by_money, coalesce(refunded.refunded, 0) as refunded, earning.paid_minor,
      earning.refunded_minor, coalesce(earning.earned_minor, 0) as earned_minor,
      coalesce(earning.taken_back_minor, 0) as taken_back_minor, coalesce(moved.earned, 0) as earned,
      coalesce(moved.taken_back, 0) as taken_back
    from orders.orders as placed
    full join wallet.earning on earning.order_id = placed.order_id
    full join moved on moved.order_id = coalesce(placed.order_id, earning.order_id)
    left join refunded on refunded.order_id = placed.order_id),
  bad as (
    select format('order %s (%s) earned %s by %s and had %s taken back for %s; its entries say %s and %s, the order paid %s and got back %s',
      order_id, coalesce(status, 'unknown'), earned_minor, paid_minor, taken_back_minor, refunded_minor, earned, taken_back, by_money,
      refunded) as what
    from compared
    where (earned_minor, taken_back_minor) is distinct from (earned, taken_back) or taken_back > earned
      or (status = 'CANCELLED' and taken_back_minor <> earned_minor)
      or (paid_minor is not null and status is distinct from 'CANCELLED'
        and (paid_minor, refunded_minor) is distinct from (by_money, refunded)))
  select (select count(*) from compared) as rows, (select count(*) from bad) as offending,
    array(select what from bad order by what limit 10) as examples`;

const onceSql = sql("audit.wallet-once", { takes: [], gives: finding })`
  with moves as (
    select 'order ' || order_id as what, count(*) filter (where kind = 'HELD') as held, count(*) filter (where kind = 'SPENT') as spent,
      count(*) filter (where kind = 'RELEASED') as released, count(*) filter (where kind = 'EARNED') as earned,
      count(*) filter (where kind = 'GIVEN_BACK') - count(distinct coalesce(document_id, order_id)) filter (where kind = 'GIVEN_BACK')
        as repeated
    from wallet.entry where order_id is not null group by order_id),
  credited as (
    select coalesce(credit.credit_id, moved.document_id) as credit_id, credit.amount_minor, moved.times, moved.moved
    from wallet.credit
    full join (
      select document_id, count(*) as times, sum(available_minor) as moved from wallet.entry where kind = 'CREDITED' group by document_id
    ) as moved on moved.document_id = credit.credit_id),
  bad as (
    select format('%s: held %s times, spent %s times, released %s times, earned %s times, %s returns repeated', what, held, spent, released,
      earned, repeated) as what
    from moves where greatest(held, spent, released, earned) > 1 or repeated > 0
    union all
    select format('credit %s of %s moved %s in %s entries', credit_id, amount_minor, coalesce(moved, 0), coalesce(times, 0))
    from credited where (amount_minor::numeric, 1::bigint) is distinct from (moved, times))
  select (select count(*) from moves) + (select count(*) from credited)
      + (select count(*) from wallet.reader_cursor where source = 'orders') as rows,
    (select count(*) from bad) as offending, array(select what from bad order by what limit 10) as examples`;

export const walletChecks: readonly Check[] = [
  statementCheck(
    {
      id: "wallet.balanced",
      invariant: 2,
      title: "Every movement of points sums to zero over the accounts it touches.",
    },
    balancedSql,
  ),
  statementCheck(
    {
      id: "wallet.balances",
      invariant: 2,
      title: "Every balance of points is the sum of its entries, and never below zero.",
    },
    balancesSql,
  ),
  statementCheck(
    { id: "wallet.lots", invariant: 2, title: "What is available of a balance is what is left in its lots." },
    lotsSql,
  ),
  statementCheck(
    { id: "wallet.vouchers", invariant: 2, title: "What is left in the vouchers of a batch is what the ledger says." },
    vouchersSql,
  ),
  statementCheck(
    { id: "wallet.orders", invariant: 2, title: "What an order took from lots is what its entries hold or spent." },
    ordersSql,
  ),
  statementCheck(
    {
      id: "wallet.ended-hold-nothing",
      invariant: 2,
      title: "No points are held for an order that ended, or spent for one that was not fulfilled.",
    },
    endedHoldNothingSql,
  ),
  statementCheck(
    {
      id: "wallet.orders-paid",
      invariant: 2,
      title: "What was spent for an order is what the order says was paid with points.",
    },
    ordersPaidSql,
  ),
  statementCheck(
    {
      id: "wallet.earned",
      invariant: 2,
      title: "What an order earned is in the ledger, less what its refunds took back.",
    },
    earnedSql,
  ),
  statementCheck(
    {
      id: "wallet.once",
      invariant: 4,
      title: "An order's points moved once each way, and every credit is in the ledger once.",
    },
    onceSql,
  ),
];
