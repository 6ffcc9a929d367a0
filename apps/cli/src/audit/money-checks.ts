/** What payments promises: the books balance, nobody pays twice, and no money stays without a confirmed order. */

import { sql } from "@onsale/postgres";
import { type Check, finding, statementCheck } from "./check.ts";

const balancedSql = sql("audit.money-balanced", { takes: [], gives: finding })`
  with movements as (
    select order_id, movement, sum(amount_minor) as balance, count(*) as entries, count(distinct currency) as currencies,
      count(distinct payment_id) as payments
    from payments.ledger_entry group by order_id, movement),
  bad as (
    select format('order %s, movement %s: %s entries in %s currencies sum to %s', order_id, movement, entries, currencies, balance) as what
    from movements where balance <> 0 or entries <> 2 or currencies <> 1 or payments <> 1)
  select (select count(*) from payments.ledger_entry) + (select count(*) from payments.payment) as rows,
    (select count(*) from bad) as offending, array(select what from bad order by what limit 10) as examples`;

const bookedSql = sql("audit.money-booked", { takes: [], gives: finding })`
  with booked as (
    select order_id, sum(amount_minor) filter (where amount_minor > 0) as captured,
      -sum(amount_minor) filter (where amount_minor < 0) as refunded, count(*) filter (where amount_minor > 0) as captures
    from payments.ledger_entry where account = 'provider' group by order_id),
  compared as (
    select coalesce(payment.order_id, booked.order_id) as order_id, payment.amount_minor, payment.captured_minor,
      payment.refunded_minor, coalesce(booked.captured, 0) as captured, coalesce(booked.refunded, 0) as refunded,
      coalesce(booked.captures, 0) as captures
    from payments.payment full join booked on booked.order_id = payment.order_id),
  bad as (
    select format('order %s: the payment has captured %s and refunded %s of %s, its ledger %s (%s captures) and %s', order_id,
      captured_minor, refunded_minor, amount_minor, captured, captures, refunded) as what
    from compared
    where (captured_minor, refunded_minor) is distinct from (captured, refunded) or captures > 1
      or captured_minor not in (0, amount_minor) or refunded_minor > captured_minor)
  select (select count(*) from compared) as rows, (select count(*) from bad) as offending,
    array(select what from bad order by what limit 10) as examples`;

const ordersPaidSql = sql("audit.money-orders-paid", { takes: [], gives: finding })`
  with compared as (
    select coalesce(placed.order_id, payment.order_id) as order_id, placed.status, placed.total_minor, placed.currency,
      placed.payment_method, placed.points_minor, placed.paid_minor, placed.refunded_minor, placed.paid_points_minor,
      placed.refunded_points_minor, payment.status as payment_status, payment.currency as payment_currency,
      coalesce(payment.captured_minor, 0) as captured, coalesce(payment.refunded_minor, 0) as given_back
    from orders.orders as placed full join payments.payment on payment.order_id = placed.order_id),
  bad as (
    select format('order %s is %s, costs %s %s (%s in points), paid %s by card and %s in points, and got back %s and %s; its payment is %s, captured %s %s and gave back %s',
      order_id, coalesce(status, 'unknown'), currency, total_minor, points_minor, paid_minor, paid_points_minor, refunded_minor, refunded_points_minor,
      coalesce(payment_status, 'missing'), payment_currency, captured, given_back) as what
    from compared
    where status is null
      or (status = 'CONFIRMED' and payment_status not in ('WITHDRAWN', 'REVERSING', 'REVERSED')
        and (captured, currency, paid_minor, refunded_minor)
          is distinct from (total_minor - points_minor, payment_currency, captured, given_back))
      or (status = 'CONFIRMED' and paid_points_minor <> points_minor)
      or (status = 'CONFIRMED' and payment_method <> 'wallet' and payment_status is null)
      or (status in ('REJECTED', 'CANCELLED') and captured <> given_back and payment_status not in ('WITHDRAWN', 'REVERSING'))
      or (status in ('REJECTED', 'CANCELLED') and payment_status in ('AUTHORISING', 'AUTHORISED', 'CAPTURING', 'CAPTURED'))
      or (status in ('REJECTED', 'CANCELLED') and payment_status = 'REVERSED' and paid_minor <> refunded_minor)
      or (status in ('REJECTED', 'CANCELLED') and paid_points_minor <> refunded_points_minor))
  select (select count(*) from compared) as rows, (select count(*) from bad) as offending,
    array(select what from bad order by what limit 10) as examples`;

const returnsSql = sql("audit.money-returns", { takes: [], gives: finding })`
  with wished as (
    select order_id, array_agg((return_id, refund_minor)::text order by return_id) as returns, sum(refund_minor) as total,
      sum(points_minor) as points
    from orders.order_return where state = 'ACCEPTED' group by order_id),
  allocated as (
    select order_id, sku, coalesce(sum(amount_minor) filter (where kind = 'POINTS'), 0) as points,
      coalesce(sum(case when kind = 'DISCOUNT' then -amount_minor when kind = 'TAX' and borne_by = 'buyer' then amount_minor end), 0)
        as ruled
    from orders.order_allocation group by order_id, sku),
  -- Each instrument gives back its share of the units that are back, rounded down.
  priced as (
    select line.order_id,
      sum(div((line.quantity * line.unit_price_minor + coalesce(ruled, 0) - coalesce(points, 0))::numeric * line.returned_quantity,
        line.quantity)) as total,
      sum(div(coalesce(points, 0)::numeric * line.returned_quantity, line.quantity)) as points
    from orders.order_line as line
    left join allocated on allocated.order_id = line.order_id and allocated.sku = line.sku
    where line.returned_quantity > 0
    group by line.order_id),
  asked as (
    select order_id, array_agg((return_id, amount_minor)::text order by return_id) as returns,
      sum(amount_minor) filter (where state = 'REFUNDED') as total,
      count(*) filter (where state <> 'REFUNDED') as others
    from payments.refund group by order_id),
  shelved as (
    select order_id, array_agg(return_id order by return_id) as ids from inventory.restock group by order_id),
  ids as (select order_id, array_agg(return_id order by return_id) as ids from orders.order_return
    where state = 'ACCEPTED' group by order_id),
  compared as (
    select placed.order_id, placed.status, payment.status as payment_status, coalesce(wished.total, 0) as wished,
      coalesce(wished.points, 0) as wished_points, coalesce(priced.points, 0) as priced_points,
      coalesce(priced.total, 0) as priced, coalesce(asked.total, 0) as refunded, coalesce(asked.others, 0) as others,
      coalesce(payment.refunded_minor, 0) as given_back, 
      -- What was paid with points alone, payments has never heard of.
      placed.payment_method <> 'wallet' and wished.returns is distinct from asked.returns as differ,
      ids.ids is distinct from shelved.ids as unshelved
    from orders.orders as placed
    left join payments.payment on payment.order_id = placed.order_id
    left join wished on wished.order_id = placed.order_id
    left join priced on priced.order_id = placed.order_id
    left join asked on asked.order_id = placed.order_id
    left join ids on ids.order_id = placed.order_id
    left join shelved on shelved.order_id = placed.order_id),
  bad as (
    select format('order %s (%s): returns worth %s and %s points by their lines ask for %s and %s points back; %s is refunded for them, %s in all, %s of them are not refunded%s%s',
      order_id, status, priced, priced_points, wished, wished_points, refunded, given_back, others,
      case when differ then '; payments has other returns' else '' end,
      case when unshelved then '; inventory has other returns' else '' end) as what
    from compared
    where priced <> wished or priced_points <> wished_points or differ or unshelved
      or (status = 'CONFIRMED' and payment_status = 'CAPTURED' and (others > 0 or refunded <> wished or given_back <> wished)))
  select (select count(*) from compared) as rows, (select count(*) from bad) as offending,
    array(select what from bad order by what limit 10) as examples`;

export const moneyChecks: readonly Check[] = [
  statementCheck(
    { id: "money.balanced", invariant: 2, title: "Every movement of money is two entries that sum to zero." },
    balancedSql,
  ),
  statementCheck(
    {
      id: "money.booked",
      invariant: 2,
      title: "Every payment is what its ledger says: one capture at most, no more refunded than captured.",
    },
    bookedSql,
  ),
  statementCheck(
    {
      id: "money.orders-paid",
      invariant: 2,
      title: "A confirmed order is paid in full; of one that ended otherwise nothing is kept.",
    },
    ordersPaidSql,
  ),
  statementCheck(
    {
      id: "money.returns",
      invariant: 2,
      title: "What is refunded of a confirmed order is the price of what came back.",
    },
    returnsSql,
  ),
];
