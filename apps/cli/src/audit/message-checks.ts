import { sql } from "@onsale/postgres";
import { type Check, finding, statementCheck } from "./check.ts";

const toldSql = sql("audit.messages-told", { takes: [], gives: finding })`
  with confirmed as (
    select order_id, count(*) as times from orders.order_history where told = 'order.confirmed.v1' group by order_id),
  messages as (
    select order_id, count(*) as messages, count(*) filter (where status not in ('sent', 'kept')) as unsent
    from notifications.message where kind = 'order-confirmed' and channel = 'chat' group by order_id),
  compared as (
    select coalesce(placed.order_id, messages.order_id) as order_id, placed.status, coalesce(confirmed.times, 0) as times,
      coalesce(messages.messages, 0) as messages, coalesce(messages.unsent, 0) as unsent
    from orders.orders as placed
    left join confirmed on confirmed.order_id = placed.order_id
    full join messages on messages.order_id = placed.order_id),
  bad as (
    select format('order %s was confirmed %s times and has %s messages, %s of them not sent', order_id, times, messages, unsent) as what
    from compared where messages <> times or unsent > 0 or times > 1 or (status = 'CONFIRMED' and times <> 1))
  select (select count(*) from compared) as rows, (select count(*) from bad) as offending,
    array(select what from bad order by what limit 10) as examples`;

const namedSql = sql("audit.messages-named", { takes: [], gives: finding })`
  with retired as (select exists (select from orders.outbox_partition where truncated_at is not null) as some),
  types (kind, type) as (values ('order-confirmed', 'order.confirmed.v1'), ('order-rejected', 'order.rejected.v1'),
    ('order-cancelled', 'order.cancelled.v1'), ('order-returned', 'order.returned.v1'),
    ('return-requested', 'order.return-requested.v1'), ('return-refused', 'order.return-refused.v1'),
    ('return-lapsed', 'order.return-lapsed.v1')),
  compared as (
    select message.id, message.order_id, event.id as event_id
    from notifications.message as message
    left join types on types.kind = message.kind
    left join orders.outbox_online as event on event.id = message.event_id
      and event.aggregateid = message.order_id::text and event.type = types.type
    where message.order_id is not null),
  bad as (
    select format('message %s about order %s goes back to no event', id, order_id) as what
    from compared, retired where event_id is null and not retired.some)
  select (select count(*) from compared) + (select count(*) from orders.orders) as rows,
    (select count(*) from bad) as offending, array(select what from bad order by what limit 10) as examples`;

const toldRightlySql = sql("audit.messages-wanted", { takes: [], gives: finding })`
  with compared as (
    select message.id, message.kind, message.order_id, message.buyer_id, message.recipient_id, placed.buyer_id as placed_by
    from notifications.message as message
    left join orders.orders as placed on placed.order_id = message.order_id
    where message.order_id is not null),
  bad as (
    select format('message %s about order %s is for %s, whose order it is not', id, order_id, coalesce(recipient_id, buyer_id)) as what
    from compared
    where coalesce(recipient_id, buyer_id) is distinct from placed_by or buyer_id is distinct from placed_by)
  select (select count(*) from compared) + (select count(*) from orders.orders) as rows,
    (select count(*) from bad) as offending, array(select what from bad order by what limit 10) as examples`;

export const messageChecks: readonly Check[] = [
  statementCheck(
    { id: "messages.told", invariant: 4, title: "Every order that was confirmed was told once, and no other was." },
    toldSql,
  ),
  statementCheck(
    { id: "messages.named", invariant: 3, title: "Every message about an order goes back to an event of that order." },
    namedSql,
  ),
  statementCheck(
    { id: "messages.wanted", invariant: 3, title: "Nobody is told of another person's order." },
    toldRightlySql,
  ),
];
