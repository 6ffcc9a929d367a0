/** What orders promises: every accepted order ends, its history tells how, and its copies are those of their owners. */

import { sql } from "@onsale/postgres";
import { type Check, finding, statementCheck } from "./check.ts";
import { rebuildCheck } from "./rebuild-check.ts";

// Fifteen minutes are above the saga's own bound of eleven, every step at its slowest.
const pendingInTimeSql = sql("audit.orders-end-in-time", { takes: [], gives: finding })`
  with bad as (
    select format('order %s is PENDING since %s', order_id, placed_at) as what
    from orders.orders where status = 'PENDING' and placed_at < clock_timestamp() - interval '15 minutes')
  select (select count(*) from orders.orders) as rows, (select count(*) from bad) as offending,
    array(select what from bad order by what limit 10) as examples`;

const historySql = sql("audit.orders-history", { takes: [], gives: finding })`
  with steps as (
    select order_id, count(*) as steps, min(version) as first, max(version) as last, count(told) as told,
      (array_agg(status order by version desc))[1] as status, (array_agg(reason order by version desc))[1] as reason
    from orders.order_history group by order_id),
  compared as (
    select coalesce(placed.order_id, steps.order_id) as order_id, placed.version, placed.status as is_status,
      placed.reason as is_reason, placed.event_sequence, steps.steps, steps.first, steps.last, steps.told, steps.status,
      steps.reason
    from orders.orders as placed full join steps on steps.order_id = placed.order_id),
  bad as (
    select format('order %s is %s (%s) at version %s with %s events told; its history has %s steps, from %s to %s, ends %s (%s), and told %s',
      order_id, is_status, coalesce(is_reason, 'no reason'), version, event_sequence, coalesce(steps, 0), first, last,
      status, coalesce(reason, 'no reason'), told) as what
    from compared
    where (1, version, version, event_sequence, is_status, is_reason)
      is distinct from (first, last, steps::int, told::int, status, reason))
  select (select count(*) from compared) as rows, (select count(*) from bad) as offending,
    array(select what from bad order by what limit 10) as examples`;

const historyOnceSql = sql("audit.orders-history-once", { takes: [], gives: finding })`
  with bad as (
    select format('order %s took the step "%s" %s times because of %s', order_id, what, count(*), caused_by) as what
    from orders.order_history where caused_by is not null
    group by order_id, what, caused_by having count(*) > 1)
  select (select count(*) from orders.order_history) as rows, (select count(*) from bad) as offending,
    array(select what from bad order by what limit 10) as examples`;

const linesSql = sql("audit.orders-lines", { takes: [], gives: finding })`
  with lines as (
    select order_id, count(*) as lines, sum(quantity * unit_price_minor) as price
    from orders.order_line group by order_id),
  allocated as (
    select order_id, sum(amount_minor) filter (where kind = 'POINTS') as points,
      sum(case when kind = 'DISCOUNT' then -amount_minor when kind = 'TAX' and borne_by = 'buyer' then amount_minor else 0 end)
        as ruled
    from orders.order_allocation group by order_id),
  compared as (
    select coalesce(placed.order_id, lines.order_id, allocated.order_id) as order_id, placed.line_count,
      placed.total_minor, placed.points_minor, coalesce(lines.lines, 0) as lines,
      coalesce(lines.price, 0) + coalesce(allocated.ruled, 0) as total, coalesce(allocated.points, 0) as points
    from orders.orders as placed full join lines on lines.order_id = placed.order_id
    full join allocated on allocated.order_id = coalesce(placed.order_id, lines.order_id)),
  bad as (
    select format('order %s: %s lines that cost %s, %s of it in points; it has %s that cost %s, %s of it in points', order_id,
      line_count, total_minor, points_minor, lines, total, points) as what
    from compared
    where (line_count::bigint, total_minor::numeric, points_minor::numeric) is distinct from (lines, total, points)
    union all
    select format('order %s, SKU %s: points and discounts bear %s of a price of %s', order_id, sku, sum(borne), max(price))
    from (
      select allocation.order_id, allocation.sku,
        case when kind = 'TAX' and borne_by = 'buyer' then -amount_minor when kind = 'TAX' then 0 else amount_minor end as borne,
        line.quantity * line.unit_price_minor as price
      from orders.order_allocation as allocation
      left join orders.order_line as line on line.order_id = allocation.order_id and line.sku = allocation.sku) as borne
    group by order_id, sku having sum(borne) > coalesce(max(price), -1))
  select (select count(*) from compared) as rows, (select count(*) from bad) as offending,
    array(select what from bad order by what limit 10) as examples`;

// Records are kept for 24 hours at least, so that an order younger than 23 must have its own. An answer that names no
// order is an operator's, who held a feed of this service or closed a task.
const idempotencySql = sql("audit.orders-idempotency", { takes: [], gives: finding })`
  with answered as (
    select person_id, key, status, (body::jsonb ->> 'orderId')::uuid as order_id, body::jsonb ? 'returnId' as is_return
    from orders.idempotency_record),
  bad as (
    select format('the answer under the key %s of %s names the order %s, which does not exist', key, person_id,
      coalesce(order_id::text, 'of nobody')) as what
    from answered left join orders.orders using (order_id)
    where answered.status is null or (order_id is not null and orders.order_id is null)
    union all
    select format('order %s was accepted under no key', orders.order_id)
    from orders.orders left join answered on answered.order_id = orders.order_id and not answered.is_return
    where placed_at > clock_timestamp() - interval '23 hours' and answered.key is null
    union all
    select format('order %s is the answer to %s keys', order_id, count(*))
    from answered where not is_return and order_id is not null group by order_id having count(*) > 1)
  select (select count(*) from answered) + (select count(*) from orders.orders) as rows,
    (select count(*) from bad) as offending, array(select what from bad order by what limit 10) as examples`;

const deadlinesSql = sql("audit.orders-deadlines", { takes: [], gives: finding })`
  with bad as (
    select format('the deadline "%s" of order %s is due since %s', wait, key, due_at) as what
    from orders.saga_deadline where due_at < clock_timestamp() - interval '5 minutes'
    union all
    select format('the deadline "%s" is for the order %s, which does not exist', wait, key)
    from orders.saga_deadline left join orders.orders on order_id = key::uuid where saga = 'order' and order_id is null
    union all
    select format('nobody looks after the pending order %s: it has no deadline', order_id)
    from orders.orders
    where status = 'PENDING' and not exists (select from orders.saga_deadline where key = order_id::text))
  select (select count(*) from orders.saga_deadline) + (select count(*) from orders.orders) as rows,
    (select count(*) from bad) as offending, array(select what from bad order by what limit 10) as examples`;

const returnsSql = sql("audit.orders-returns", { takes: [], gives: finding })`
  with open as (select return_id, order_id, lapses_at from orders.order_return where state = 'REQUESTED'),
  deadlines as (select key::uuid as return_id, due_at from orders.saga_deadline where saga = 'return'),
  found as (
    select return_id, sku, sum(quantity) as found, coalesce(sum(quantity) filter (where verdict <> 'REFUSED'), 0) as taken
    from orders.order_return_finding group by return_id, sku),
  told as (
    select order_id, count(*) filter (where what = 'return-requested') as asked,
      count(*) filter (where what in ('goods-returned', 'return-accepted', 'lines-cancelled')) as accepted,
      count(*) filter (where what = 'return-lapsed') as lapsed
    from orders.order_history group by order_id),
  kept as (
    select order_id, count(*) filter (where lapses_at is not null) as asked, count(*) filter (where state = 'ACCEPTED') as accepted,
      count(*) filter (where state = 'LAPSED') as lapsed
    from orders.order_return group by order_id),
  bad as (
    select format('return %s of order %s lapses at %s, and its deadline is at %s', coalesce(open.return_id, deadlines.return_id),
      order_id, lapses_at, due_at) as what
    from open full join deadlines on deadlines.return_id = open.return_id where lapses_at is distinct from due_at
    union all
    select format('return %s of order %s waits to be looked at, and the order is %s', return_id, order_id, progress)
    from open join orders.orders using (order_id) where progress <> 'completed'
    union all
    select format('return %s, SKU %s: %s were asked for, %s found and %s of them taken; %s are given back', return_id, sku, quantity,
      coalesce(found, 0), coalesce(taken, 0), accepted_quantity)
    from orders.order_return join orders.order_return_line using (return_id) left join found using (return_id, sku)
    where case when inspected_by is not null then (found, taken) is distinct from (quantity::bigint, accepted_quantity::bigint)
      else found is not null or accepted_quantity <> case state when 'ACCEPTED' then quantity else 0 end end
    union all
    select format('order %s, SKU %s: %s came back and %s are asked back, of %s', order_id, sku, returned_quantity, sum(asked.quantity),
      line.quantity)
    from open join orders.order_return_line as asked using (return_id) join orders.order_line as line using (order_id, sku)
    group by order_id, sku, returned_quantity, line.quantity having returned_quantity + sum(asked.quantity) > line.quantity
    union all
    select format('order %s asked for %s returns, took %s and let %s lapse; its history says %s, %s and %s', order_id, kept.asked,
      kept.accepted, kept.lapsed, told.asked, told.accepted, told.lapsed)
    from kept left join told using (order_id)
    where (kept.asked, kept.accepted, kept.lapsed) is distinct from (told.asked, told.accepted, told.lapsed))
  select (select count(*) from orders.order_return) + (select count(*) from orders.orders) as rows,
    (select count(*) from bad) as offending, array(select what from bad order by what limit 10) as examples`;

const productsSql = sql("audit.orders-products", { takes: [], gives: finding })`
  with compared as (
    select coalesce(own.sku, copy.sku) as sku, own.price_minor, own.currency, own.version::bigint as version,
      copy.price_minor as copy_price, copy.currency as copy_currency, copy.sequence
    from catalog.product as own full join orders.product as copy on copy.sku = own.sku),
  bad as (
    select format('SKU %s costs %s %s (version %s) in the catalog, %s %s (version %s) to orders', sku, currency,
      price_minor, version, copy_currency, copy_price, sequence) as what
    from compared where (price_minor, currency, version) is distinct from (copy_price, copy_currency, sequence))
  select (select count(*) from compared) as rows, (select count(*) from bad) as offending,
    array(select what from bad order by what limit 10) as examples`;

const shelvesSql = sql("audit.catalog-shelves", { takes: [], gives: finding })`
  with compared as (
    select coalesce(own.sku, copy.sku) as sku, own.received - own.held - own.sold as available, own.version::bigint as version,
      copy.in_stock, copy.sequence
    from inventory.stock as own full join catalog.shelf as copy on copy.sku = own.sku),
  bad as (
    select format('SKU %s has %s units (version %s), the catalog shows it %s (version %s)', sku, available, version,
      case when in_stock then 'available' else 'sold out' end, sequence) as what
    from compared where (available > 0, version) is distinct from (in_stock, sequence) and (version > 0 or sequence is not null))
  select (select count(*) from compared) as rows, (select count(*) from bad) as offending,
    array(select what from bad order by what limit 10) as examples`;

export const orderChecks: readonly Check[] = [
  statementCheck(
    { id: "orders.end-in-time", invariant: 6, title: "No order is pending past its bound." },
    pendingInTimeSql,
  ),
  statementCheck(
    {
      id: "orders.history",
      invariant: 6,
      title: "Every order's history is without gaps and ends where the order stands.",
    },
    historySql,
  ),
  rebuildCheck,
  statementCheck({ id: "orders.history-once", invariant: 4, title: "No event moved an order twice." }, historyOnceSql),
  statementCheck(
    {
      id: "orders.lines",
      invariant: 2,
      title: "Every order costs what its lines cost, and somebody bears every part of it.",
    },
    linesSql,
  ),
  statementCheck(
    {
      id: "orders.idempotency",
      invariant: 4,
      title: "Every recorded answer names an order that exists, and every new order has one.",
    },
    idempotencySql,
  ),
  statementCheck(
    {
      id: "orders.deadlines",
      invariant: 6,
      title: "Every pending order is looked after, and no deadline has gone unheard.",
    },
    deadlinesSql,
  ),
  statementCheck(
    {
      id: "orders.returns",
      invariant: 6,
      title: "Every return is looked at or lapses, and gives back what was taken of it and no more.",
    },
    returnsSql,
  ),
  statementCheck({ id: "orders.products", invariant: 3, title: "Orders sells at the catalog's prices." }, productsSql),
  statementCheck(
    { id: "catalog.shelves", invariant: 3, title: "The catalog shows as sold out what inventory has none of." },
    shelvesSql,
  ),
];
