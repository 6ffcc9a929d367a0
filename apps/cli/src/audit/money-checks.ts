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
      placed.paid_minor, placed.refunded_minor, payment.status as payment_status, payment.currency as payment_currency,
      coalesce(payment.captured_minor, 0) as captured, coalesce(payment.refunded_minor, 0) as given_back
    from orders.orders as placed full join payments.payment on payment.order_id = placed.order_id),
  bad as (
    select format('order %s is %s, costs %s %s, paid %s and got back %s; its payment is %s, captured %s %s and gave back %s',
      order_id, coalesce(status, 'unknown'), currency, total_minor, paid_minor, refunded_minor,
      coalesce(payment_status, 'missing'), payment_currency, captured, given_back) as what
    from compared
    where status is null
      or (status = 'CONFIRMED' and payment_status not in ('WITHDRAWN', 'REVERSING', 'REVERSED')
        and (captured, currency, paid_minor, refunded_minor) is distinct from (total_minor, payment_currency, captured, given_back))
      or (status = 'CONFIRMED' and payment_status is null)
      or (status in ('REJECTED', 'CANCELLED') and captured <> given_back and payment_status not in ('WITHDRAWN', 'REVERSING'))
      or (status in ('REJECTED', 'CANCELLED') and payment_status in ('AUTHORISING', 'AUTHORISED', 'CAPTURING', 'CAPTURED'))
      or (status in ('REJECTED', 'CANCELLED') and payment_status = 'REVERSED' and paid_minor <> refunded_minor))
  select (select count(*) from compared) as rows, (select count(*) from bad) as offending,
    array(select what from bad order by what limit 10) as examples`;

const returnsSql = sql("audit.money-returns", { takes: [], gives: finding })`
  with wished as (
    select order_id, array_agg((return_id, refund_minor)::text order by return_id) as returns, sum(refund_minor) as total
    from orders.order_return group by order_id),
  priced as (
    select returned.order_id, sum(back.quantity * line.unit_price_minor) as total
    from orders.order_return as returned
    join orders.order_return_line as back using (return_id)
    join orders.order_line as line on line.order_id = returned.order_id and line.sku = back.sku
    group by returned.order_id),
  asked as (
    select order_id, array_agg((return_id, amount_minor)::text order by return_id) as returns,
      sum(amount_minor) filter (where state = 'REFUNDED') as total,
      count(*) filter (where state <> 'REFUNDED') as others
    from payments.refund group by order_id),
  shelved as (
    select order_id, array_agg(return_id order by return_id) as ids from inventory.restock group by order_id),
  ids as (select order_id, array_agg(return_id order by return_id) as ids from orders.order_return group by order_id),
  compared as (
    select placed.order_id, placed.status, payment.status as payment_status, coalesce(wished.total, 0) as wished,
      coalesce(priced.total, 0) as priced, coalesce(asked.total, 0) as refunded, coalesce(asked.others, 0) as others,
      coalesce(payment.refunded_minor, 0) as given_back, wished.returns is distinct from asked.returns as differ,
      ids.ids is distinct from shelved.ids as unshelved
    from orders.orders as placed
    left join payments.payment on payment.order_id = placed.order_id
    left join wished on wished.order_id = placed.order_id
    left join priced on priced.order_id = placed.order_id
    left join asked on asked.order_id = placed.order_id
    left join ids on ids.order_id = placed.order_id
    left join shelved on shelved.order_id = placed.order_id),
  bad as (
    select format('order %s (%s): returns worth %s by their lines ask for %s back; %s is refunded for them, %s in all, %s of them are not refunded%s%s',
      order_id, status, priced, wished, refunded, given_back, others,
      case when differ then '; payments has other returns' else '' end,
      case when unshelved then '; inventory has other returns' else '' end) as what
    from compared
    where priced <> wished or differ or unshelved
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
