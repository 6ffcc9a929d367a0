/** What inventory promises: no unit is promised twice, and every unit that moved is accounted for. */

import { sql } from "@onsale/postgres";
import { type Check, finding, statementCheck } from "./check.ts";

const withinReceivedSql = sql("audit.stock-within-received", { takes: [], gives: finding })`
  with bad as (
    select format('SKU %s: received %s, held %s, sold %s, quarantined %s, in transit %s', sku, received, held, sold, quarantined,
      in_transit) as what
    from inventory.stock
    where least(received, held, sold, quarantined, in_transit) < 0 or held + sold > received)
  select (select count(*) from inventory.stock) as rows, (select count(*) from bad) as offending,
    array(select what from bad order by what limit 10) as examples`;

const ledgerSql = sql("audit.stock-ledger", { takes: [], gives: finding })`
  with moved as (
    select sku, sum(received_delta) as received, sum(held_delta) as held, sum(sold_delta) as sold,
      sum(quarantined_delta) as quarantined, sum(in_transit_delta) as in_transit
    from inventory.movement group by sku),
  compared as (
    select coalesce(stock.sku, moved.sku) as sku, stock.received, stock.held, stock.sold, stock.quarantined,
      stock.in_transit, coalesce(moved.in_transit, 0) as moved_in_transit,
      coalesce(moved.received, 0) as moved_received, coalesce(moved.held, 0) as moved_held,
      coalesce(moved.sold, 0) as moved_sold, coalesce(moved.quarantined, 0) as moved_quarantined
    from inventory.stock full join moved on moved.sku = stock.sku),
  bad as (
    select format('SKU %s: stock has received %s, held %s, sold %s, quarantined %s, in transit %s; its movements add up to %s, %s, %s, %s, %s',
      sku, received, held, sold, quarantined, in_transit, moved_received, moved_held, moved_sold, moved_quarantined,
      moved_in_transit) as what
    from compared
    where (received, held, sold, quarantined, in_transit)
      is distinct from (moved_received, moved_held, moved_sold, moved_quarantined, moved_in_transit))
  select (select count(*) from compared) as rows, (select count(*) from bad) as offending,
    array(select what from bad order by what limit 10) as examples`;

const receiptsSql = sql("audit.stock-receipts", { takes: [], gives: finding })`
  with due as (
    select receipt_id, sku, units, accepted, damaged,
      case when inspect then coalesce(accepted, 0) else units end as on_shelf, coalesce(damaged, 0) as apart
    from inventory.receipt left join inventory.inspection using (receipt_id)),
  moved as (
    select document_id, min(sku) as sku, sum(received_delta) as received, sum(quarantined_delta) as quarantined,
      -- Units that have names come in one by one.
      count(*) filter (where kind = 'RECEIVED') - greatest(count(distinct unit) - 1, 0) as shelved, count(*) filter (where kind = 'REFUSED') as refused
    from inventory.movement where kind in ('RECEIVED', 'REFUSED') group by document_id),
  compared as (
    select coalesce(due.receipt_id, moved.document_id) as receipt_id, due.sku, due.units, due.accepted, due.damaged,
      due.on_shelf, due.apart, moved.sku as moved_sku, coalesce(moved.received, 0) as received,
      coalesce(moved.quarantined, 0) as quarantined, coalesce(moved.shelved, 0) as shelved,
      coalesce(moved.refused, 0) as refused
    from due full join moved on moved.document_id = due.receipt_id),
  bad as (
    select format('receipt %s: of %s of SKU %s, %s are due on the shelf and %s in quarantine; its movements put %s and %s of %s there',
      receipt_id, units, sku, on_shelf, apart, received, quarantined, moved_sku) as what
    from compared
    where sku is null or sku <> moved_sku or (on_shelf, apart) <> (received, quarantined)
      or accepted + damaged > units or shelved > 1 or refused > 1)
  select (select count(*) from compared) + (select count(*) from inventory.stock) as rows,
    (select count(*) from bad) as offending, array(select what from bad order by what limit 10) as examples`;

const adjustmentsSql = sql("audit.stock-adjustments", { takes: [], gives: finding })`
  with moved as (
    select document_id, min(sku) as sku, count(*) as movements, sum(received_delta) as received,
      sum(quarantined_delta) as quarantined
    from inventory.movement where kind in ('ADDED', 'REMOVED', 'SET_ASIDE', 'CLEARED', 'DISPOSED') group by document_id),
  compared as (
    select coalesce(adjustment_id, document_id) as adjustment_id, adjustment.sku, units, reason, movements,
      moved.sku as moved_sku, received, quarantined
    from inventory.adjustment full join moved on document_id = adjustment_id),
  bad as (
    select format('adjustment %s: %s of SKU %s (%s); its movements, %s, changed shelf and quarantine of %s by %s and %s',
      adjustment_id, units, sku, reason, coalesce(movements, 0), moved_sku, received, quarantined) as what
    from compared
    where (sku, 1::bigint) is distinct from (moved_sku, movements)
      or units::bigint is distinct from case when reason = 'DISPOSED' then quarantined else received end)
  select (select count(*) from compared) + (select count(*) from inventory.stock) as rows,
    (select count(*) from bad) as offending, array(select what from bad order by what limit 10) as examples`;

const locationsSql = sql("audit.stock-locations", { takes: [], gives: finding })`
  with moved as (
    select sku, location, sum(received_delta) as received, sum(held_delta) as held, sum(sold_delta) as sold,
      sum(quarantined_delta) as quarantined, sum(in_transit_delta) as in_transit
    from inventory.movement group by sku, location),
  taken as (
    select hold.sku, hold.location,
      coalesce(sum(hold.units) filter (where allocation.state = 'HELD'), 0) as held,
      coalesce(sum(hold.units - hold.returned_units) filter (where allocation.state = 'SOLD'), 0) as sold
    from inventory.hold join inventory.allocation using (allocation_id) group by hold.sku, hold.location),
  -- A SKU that has lain in main alone has its stock there.
  there as (
    select sku, location, received, held, sold, quarantined, in_transit from inventory.stock_at
    union all
    select sku, 'main', received, held, sold, quarantined, in_transit from inventory.stock where not located),
  compared as (
    select sku, location, there.received, there.held, there.sold, there.quarantined, there.in_transit,
      coalesce(moved.received, 0) as moved_received, coalesce(moved.held, 0) as moved_held,
      coalesce(moved.sold, 0) as moved_sold, coalesce(moved.quarantined, 0) as moved_quarantined,
      coalesce(moved.in_transit, 0) as moved_in_transit,
      coalesce(taken.held, 0) as due_held, coalesce(taken.sold, 0) as due_sold
    from there full join moved using (sku, location) full join taken using (sku, location)),
  bad as (
    select format('SKU %s at %s: received %s, held %s, sold %s, quarantined %s, in transit %s; its movements add up to %s, %s, %s, %s, %s; orders hold %s and own %s',
      sku, location, received, held, sold, quarantined, in_transit, moved_received, moved_held, moved_sold,
      moved_quarantined, moved_in_transit, due_held, due_sold) as what
    from compared
    where (received, held, sold, quarantined, in_transit)
        is distinct from (moved_received, moved_held, moved_sold, moved_quarantined, moved_in_transit)
      or (held, sold) is distinct from (due_held, due_sold)
    union all
    select format('SKU %s: its locations have received %s, held %s, sold %s, quarantined %s, in transit %s; its stock says %s, %s, %s, %s, %s',
      stock.sku, sum(at.received), sum(at.held), sum(at.sold), sum(at.quarantined), sum(at.in_transit), stock.received,
      stock.held, stock.sold, stock.quarantined, stock.in_transit)
    from inventory.stock left join inventory.stock_at as at on at.sku = stock.sku
    group by stock.sku
    having stock.located <> (count(at.sku) > 0)
      or stock.located and (sum(at.received), sum(at.held), sum(at.sold), sum(at.quarantined), sum(at.in_transit))
        is distinct from (stock.received, stock.held, stock.sold, stock.quarantined, stock.in_transit))
  select (select count(*) from compared) as rows, (select count(*) from bad) as offending,
    array(select what from bad order by what limit 10) as examples`;

const transfersSql = sql("audit.stock-transfers", { takes: [], gives: finding })`
  with moved as (
    select document_id, min(sku) as sku,
      -coalesce(sum(received_delta) filter (where kind = 'SENT'), 0) as sent,
      coalesce(sum(in_transit_delta) filter (where kind = 'EXPECTED'), 0) as expected,
      coalesce(sum(received_delta) filter (where kind = 'ARRIVED'), 0) as arrived,
      coalesce(sum(in_transit_delta), 0) as in_transit
    from inventory.movement where kind in ('SENT', 'EXPECTED', 'ARRIVED', 'MISSED') group by document_id),
  compared as (
    select coalesce(transfer_id, document_id) as transfer_id, transfer.sku, transfer.units, arrival.units as came,
      moved.sku as moved_sku, sent, expected, arrived, in_transit
    from inventory.transfer left join inventory.transfer_arrival as arrival using (transfer_id)
    full join moved on document_id = transfer_id),
  bad as (
    select format('transfer %s: %s of SKU %s, of which %s arrived; its movements of %s sent %s, expected %s, took in %s and left %s on the way',
      transfer_id, units, sku, came, moved_sku, sent, expected, arrived, in_transit) as what
    from compared
    where (sku, units::bigint, units::bigint, coalesce(came, 0)::bigint, case when came is null then units else 0 end::bigint)
      is distinct from (moved_sku, sent, expected, arrived, in_transit))
  select (select count(*) from compared) + (select count(*) from inventory.stock) as rows,
    (select count(*) from bad) as offending, array(select what from bad order by what limit 10) as examples`;

const holdsSql = sql("audit.stock-holds", { takes: [], gives: finding })`
  with moved as (
    select hold_id, sku, location, sum(held_delta) as held, sum(sold_delta) as sold
    from inventory.movement where order_id is not null or hold_id is not null group by hold_id, sku, location),
  compared as (
    select coalesce(hold.hold_id, moved.hold_id) as hold_id, hold.allocation_id, coalesce(hold.sku, moved.sku) as sku,
      allocation.state, coalesce(moved.held, 0) as held, coalesce(moved.sold, 0) as sold,
      case when allocation.state = 'HELD' then hold.units else 0 end as due_held,
      case when allocation.state = 'SOLD' then hold.units - hold.returned_units else 0 end as due_sold
    from inventory.hold
    full join moved on moved.hold_id = hold.hold_id and moved.sku = hold.sku and moved.location = hold.location
    left join inventory.allocation on allocation.allocation_id = hold.allocation_id),
  bad as (
    select format('hold %s of %s, SKU %s: its movements hold %s and sold %s, the hold (%s) says %s and %s',
      hold_id, allocation_id, sku, held, sold, coalesce(state, 'no allocation'), due_held, due_sold) as what
    from compared
    where allocation_id is null or state is null or held <> due_held or sold <> due_sold)
  select (select count(*) from compared) + (select count(*) from inventory.allocation) as rows,
    (select count(*) from bad) as offending, array(select what from bad order by what limit 10) as examples`;

const sumsSql = sql("audit.stock-sums", { takes: [], gives: finding })`
  with taken as (
    select hold.sku,
      sum(hold.units) filter (where allocation.state = 'HELD') as held,
      sum(hold.units - hold.returned_units) filter (where allocation.state = 'SOLD') as sold
    from inventory.hold join inventory.allocation using (allocation_id) group by hold.sku),
  compared as (
    select coalesce(stock.sku, taken.sku) as sku, stock.held, stock.sold,
      coalesce(taken.held, 0) as due_held, coalesce(taken.sold, 0) as due_sold
    from inventory.stock full join taken on taken.sku = stock.sku),
  bad as (
    select format('SKU %s: stock has held %s and sold %s, the orders hold %s and own %s', sku, held, sold, due_held,
      due_sold) as what
    from compared where (held, sold) is distinct from (due_held, due_sold))
  select (select count(*) from compared) as rows, (select count(*) from bad) as offending,
    array(select what from bad order by what limit 10) as examples`;

const onceSql = sql("audit.stock-once", { takes: [], gives: finding })`
  with moves as (
    select hold_id, sku, location, unit, max(order_id::text) as order_id,
      count(*) filter (where kind = 'HELD') as held, count(*) filter (where kind = 'SOLD') as sold,
      count(*) filter (where kind in ('RELEASED', 'EXPIRED', 'UNSOLD')) as back,
      count(*) filter (where kind = 'RETURNED') - count(distinct document_id) filter (where kind = 'RETURNED') as repeated
    from inventory.movement where hold_id is not null group by hold_id, sku, location, unit),
  bad as (
    select format('order %s, SKU %s at %s: held %s times, sold %s times, put back %s times, %s returns repeated',
      order_id, sku, location, held, sold, back, repeated) as what
    from moves where held <> 1 or sold > 1 or back > 1 or repeated > 0)
  select (select count(*) from moves) + (select count(*) from inventory.allocation) as rows,
    (select count(*) from bad) as offending, array(select what from bad order by what limit 10) as examples`;

const soldToOrdersSql = sql("audit.stock-sold-to-orders", { takes: [], gives: finding })`
  with held as (
    select allocation_id as order_id, sku, sum(units) as units
    from inventory.hold join inventory.allocation using (allocation_id) where kind = 'ORDER' group by allocation_id, sku),
  lines as (
    select line.order_id, line.sku, line.quantity, placed.status, allocation.state, held.units
    from orders.order_line as line
    join orders.orders as placed using (order_id)
    left join inventory.allocation on allocation.allocation_id = line.order_id
    left join held on held.order_id = line.order_id and held.sku = line.sku),
  bad as (
    select format('order %s is %s, but of SKU %s it has %s (%s) instead of %s', order_id, status, sku,
      coalesce(units, 0), coalesce(state, 'no allocation'), quantity) as what
    from lines
    where status = 'CONFIRMED' and (state is distinct from 'SOLD' or units is distinct from quantity)
    union all
    select format('order %s has %s of SKU %s, of which it ordered %s', held.order_id, held.units, held.sku,
      coalesce(line.quantity, 0))
    from held left join orders.order_line as line on line.order_id = held.order_id and line.sku = held.sku
    where line.quantity is distinct from held.units)
  select (select count(*) from lines) as rows, (select count(*) from bad) as offending,
    array(select what from bad order by what limit 10) as examples`;

const endedHoldNothingSql = sql("audit.stock-ended-hold-nothing", { takes: [], gives: finding })`
  with compared as (
    select coalesce(placed.order_id, allocation.allocation_id) as order_id, placed.status, allocation.state
    from orders.orders as placed
    full join (select allocation_id, state from inventory.allocation where kind = 'ORDER') as allocation
      on allocation.allocation_id = placed.order_id),
  bad as (
    select case when status is null then format('order %s has stock (%s) and does not exist', order_id, state)
      else format('order %s ended %s, but its stock is %s', order_id, status, state) end as what
    from compared where status is null or (status in ('REJECTED', 'CANCELLED') and state in ('HELD', 'SOLD')))
  select (select count(*) from compared) as rows, (select count(*) from bad) as offending,
    array(select what from bad order by what limit 10) as examples`;

const limitsSql = sql("audit.stock-limits", { takes: [], gives: finding })`
  with taken as (
    select allocation.buyer_id, hold.sku, sum(hold.units - hold.returned_units) as units
    from inventory.hold join inventory.allocation using (allocation_id)
    where hold.limited and allocation.state in ('HELD', 'SOLD') group by allocation.buyer_id, hold.sku),
  compared as (
    select coalesce(take.buyer_id, taken.buyer_id) as buyer_id, coalesce(take.sku, taken.sku) as sku,
      coalesce(take.units, 0) as units, coalesce(taken.units, 0) as due
    from inventory.buyer_take as take full join taken on taken.buyer_id = take.buyer_id and taken.sku = take.sku),
  bad as (
    select format('buyer %s, SKU %s: counted %s, has %s', buyer_id, sku, units, due) as what
    from compared where units <> due)
  select (select count(*) from compared) + (select count(*) from inventory.allocation) as rows,
    (select count(*) from bad) as offending, array(select what from bad order by what limit 10) as examples`;

const returnedUnitsSql = sql("audit.stock-returned-units", { takes: [], gives: finding })`
  with wished as (
    select returned.order_id, line.sku, sum(line.accepted_quantity) as units
    from orders.order_return as returned join orders.order_return_line as line using (return_id)
    group by returned.order_id, line.sku),
  moved as (
    select order_id, sku, -sum(sold_delta) as units from inventory.movement
    where kind in ('RETURNED', 'RETURNED_ASIDE', 'WRITTEN_OFF') group by order_id, sku),
  held as (
    select allocation_id as order_id, sku, sum(returned_units) as returned_units
    from inventory.hold group by allocation_id, sku),
  lines as (
    select line.order_id, line.sku, line.returned_quantity, coalesce(wished.units, 0) as wished,
      coalesce(moved.units, 0) as moved, coalesce(held.returned_units, 0) as held
    from orders.order_line as line
    left join wished on wished.order_id = line.order_id and wished.sku = line.sku
    left join moved on moved.order_id = line.order_id and moved.sku = line.sku
    left join held on held.order_id = line.order_id and held.sku = line.sku),
  bad as (
    select format('order %s, SKU %s: %s returned by the order, %s by its returns, %s put away, %s by its hold',
      order_id, sku, returned_quantity, wished, moved, held) as what
    from lines where wished <> returned_quantity or moved <> returned_quantity or held <> returned_quantity)
  select (select count(*) from lines) as rows, (select count(*) from bad) as offending,
    array(select what from bad order by what limit 10) as examples`;

const foundUnitsSql = sql("audit.stock-found-units", { takes: [], gives: finding })`
  with found as (
    select return_id, sku, case verdict when 'GOOD' then 'RETURNED' when 'QUARANTINED' then 'RETURNED_ASIDE' else 'WRITTEN_OFF' end
      as kind, sum(quantity) as units
    from orders.order_return_finding where verdict <> 'REFUSED' group by 1, 2, 3
    union all
    select return_id, sku, 'RETURNED', accepted_quantity
    from orders.order_return join orders.order_return_line using (return_id) where inspected_by is null and accepted_quantity > 0),
  moved as (
    select document_id as return_id, sku, kind, -sum(sold_delta) as units from inventory.movement
    where kind in ('RETURNED', 'RETURNED_ASIDE', 'WRITTEN_OFF') group by 1, 2, 3),
  compared as (
    select coalesce(found.return_id, moved.return_id) as return_id, coalesce(found.sku, moved.sku) as sku,
      coalesce(found.kind, moved.kind) as kind, coalesce(found.units, 0) as found, coalesce(moved.units, 0) as moved
    from found full join moved on moved.return_id = found.return_id and moved.sku = found.sku and moved.kind = found.kind),
  bad as (
    select format('return %s, SKU %s: %s were found to be put away as %s, and %s were', return_id, sku, found, kind, moved) as what
    from compared where found <> moved)
  select (select count(*) from compared) + (select count(*) from orders.orders) as rows,
    (select count(*) from bad) as offending, array(select what from bad order by what limit 10) as examples`;

const namedUnitsSql = sql("audit.stock-named-units", { takes: [], gives: finding })`
  with moved as (
    select sku, unit, sum(received_delta) as received, sum(held_delta) as held, sum(sold_delta) as sold
    from inventory.movement where unit is not null group by sku, unit),
  compared as (
    select coalesce(named.sku, moved.sku) as sku, coalesce(named.unit, moved.unit) as unit, named.state, named.hold_id,
      allocation.state as holder, moved.received, moved.held, moved.sold
    from inventory.unit as named
    full join moved on moved.sku = named.sku and moved.unit = named.unit
    left join inventory.hold on hold.hold_id = named.hold_id
    left join inventory.allocation using (allocation_id)),
  bad as (
    select format('unit %s of SKU %s is %s (hold %s, which is %s); its movements received it %s times, hold it %s and sold it %s',
      unit, sku, coalesce(state, 'not there'), hold_id, coalesce(holder, 'nowhere'), received, held, sold) as what
    from compared
    where (received, held, sold, case when state not in ('FREE', 'GONE') then state end) is distinct from
      ((state <> 'GONE')::int::bigint, (state = 'HELD')::int::bigint, (state = 'SOLD')::int::bigint, holder)
    union all
    select format('SKU %s has %s units received, %s held and %s sold; by name there are %s, %s and %s', stock.sku, received,
      held, sold, count(*) filter (where state <> 'GONE'), count(*) filter (where state = 'HELD'),
      count(*) filter (where state = 'SOLD'))
    from inventory.stock left join inventory.unit on unit.sku = stock.sku where stock.identified
    group by stock.sku
    having (received, held, sold)
      <> (count(*) filter (where state <> 'GONE'), count(*) filter (where state = 'HELD'), count(*) filter (where state = 'SOLD'))
    union all
    select format('hold %s of SKU %s has %s units, of which %s are named', hold.hold_id, hold.sku,
      units - returned_units, count(unit.hold_id))
    from inventory.hold join inventory.allocation using (allocation_id) left join inventory.unit using (hold_id)
    where named and allocation.state in ('HELD', 'SOLD')
    group by hold.hold_id, hold.sku, units, returned_units having count(unit.hold_id) <> units - returned_units)
  select (select count(*) from compared) + (select count(*) from inventory.stock) as rows,
    (select count(*) from bad) as offending, array(select what from bad order by what limit 10) as examples`;

const heldInTimeSql = sql("audit.stock-held-in-time", { takes: [], gives: finding })`
  with buyers as (
    select allocation_id, state, expires_at, (select count(*) from inventory.hold where hold.allocation_id = allocation.allocation_id)
      as parts
    from inventory.allocation where kind = 'HOLD'),
  bad as (
    select format('hold %s is held since it ended at %s', allocation_id, expires_at) as what
    from buyers where state = 'HELD' and expires_at < clock_timestamp() - interval '15 minutes'
    union all
    select format('hold %s is %s and has %s parts of its own', allocation_id, state, parts)
    from buyers where (state = 'ATTACHED') <> (parts = 0))
  select (select count(*) from buyers) + (select count(*) from inventory.allocation) as rows,
    (select count(*) from bad) as offending, array(select what from bad order by what limit 10) as examples`;

export const stockChecks: readonly Check[] = [
  statementCheck(
    { id: "stock.within-received", invariant: 1, title: "No SKU has more held and sold than was received." },
    withinReceivedSql,
  ),
  statementCheck(
    { id: "stock.ledger", invariant: 1, title: "Every SKU's stock is the sum of its movements." },
    ledgerSql,
  ),
  statementCheck(
    {
      id: "stock.receipts",
      invariant: 1,
      title: "Every receipt is on the shelf once, or where its inspection put it, and nothing came in without one.",
    },
    receiptsSql,
  ),
  statementCheck(
    {
      id: "stock.adjustments",
      invariant: 1,
      title: "Every adjustment moved its units once, and nothing moved by hand without one.",
    },
    adjustmentsSql,
  ),
  statementCheck(
    {
      id: "stock.locations",
      invariant: 1,
      title:
        "What there is at each location is the sum of its movements and holds there, and of a SKU that of its locations.",
    },
    locationsSql,
  ),
  statementCheck(
    { id: "stock.transfers", invariant: 1, title: "What was sent is on its way, arrived, or is known to be lost." },
    transfersSql,
  ),
  statementCheck(
    {
      id: "stock.named-units",
      invariant: 1,
      title: "Every unit that has a name is free or somebody's, as its movements say.",
    },
    namedUnitsSql,
  ),
  statementCheck(
    {
      id: "stock.held-in-time",
      invariant: 1,
      title: "No buyer's hold outlives its time, and one that an order took over is the order's.",
    },
    heldInTimeSql,
  ),
  statementCheck(
    {
      id: "stock.holds",
      invariant: 1,
      title: "Every hold is what its movements say, and no units move without a hold.",
    },
    holdsSql,
  ),
  statementCheck(
    { id: "stock.sums", invariant: 1, title: "What is held and sold of a SKU is what orders hold and own of it." },
    sumsSql,
  ),
  statementCheck(
    { id: "stock.once", invariant: 4, title: "The units of an order were held, sold and put back once at most." },
    onceSql,
  ),
  statementCheck(
    {
      id: "stock.sold-to-orders",
      invariant: 1,
      title: "A confirmed order has exactly its units, and no order has others.",
    },
    soldToOrdersSql,
  ),
  statementCheck(
    {
      id: "stock.ended-hold-nothing",
      invariant: 1,
      title: "Nothing is held for or sold to an order that ended otherwise, or does not exist.",
    },
    endedHoldNothingSql,
  ),
  statementCheck(
    { id: "stock.limits", invariant: 1, title: "What counts against a buyer's limit is what the buyer has." },
    limitsSql,
  ),
  statementCheck(
    {
      id: "stock.returned-units",
      invariant: 1,
      title: "Returned units are the same to the order, its returns, the ledger and the hold.",
    },
    returnedUnitsSql,
  ),
  statementCheck(
    {
      id: "stock.found-units",
      invariant: 1,
      title: "What somebody found who looked at a return is where its units went.",
    },
    foundUnitsSql,
  ),
];
