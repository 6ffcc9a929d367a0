/** What the outboxes and inboxes promise: nothing told is lost, nothing else is heard, and the order per key is kept. */

import type { SagaStyle } from "@onsale/orders";
import { readSagaStyle } from "@onsale/orders/saga-style";
import { array, composedSql, identifier, sql, text } from "@onsale/postgres";
import { type Check, finding, onlyRow, statementCheck, together } from "./check.ts";
import { owners, type Subscription, services, subscriptions } from "./subscriptions.ts";

/** Sequences of one service's keys, over both lanes, and within each lane in the order of positions. */
const contiguousSql = (source: string) =>
  composedSql(`audit.events-contiguous-${source}`, {
    takes: [],
    gives: finding,
    text: `
      with told as (
        select 'online' as lane, aggregatetype, aggregateid, sequence, position from ${identifier(source)}.outbox_online
        union all
        select 'bulk', aggregatetype, aggregateid, sequence, position from ${identifier(source)}.outbox_bulk),
      keys as (
        select aggregatetype, aggregateid, count(*) as events, count(distinct sequence) as different,
          min(sequence) as first, max(sequence) as last
        from told group by aggregatetype, aggregateid),
      steps as (
        select aggregatetype, aggregateid, sequence, lag(sequence) over lane_of_key as before from told
        window lane_of_key as (partition by lane, aggregatetype, aggregateid order by position)),
      -- Partitions that every reader has passed are emptied in time; then a key's first events are gone.
      retired as (
        select exists (select from ${identifier(source)}.outbox_partition where truncated_at is not null) as some),
      bad as (
        select format('${identifier(source)}: %s %s has %s events, %s of them different, from %s to %s', aggregatetype,
          aggregateid, events, different, first, last) as what
        from keys, retired
        where different <> events or last - first + 1 <> events or (first <> 1 and not retired.some)
        union all
        select format('${identifier(source)}: %s %s told %s after %s', aggregatetype, aggregateid, sequence, before)
        from steps where before >= sequence)
      select (select count(*) from told) as rows, (select count(*) from bad) as offending,
        array(select what from bad order by what limit 10) as examples`,
  });

/** Keys of one source against the inbox of one reader, which remembers the highest sequence that it applied. */
const heardSql = ({ schema, source }: Pick<Subscription, "schema" | "source">) =>
  composedSql(`audit.events-heard-${schema}-${source}`, {
    takes: [text, array(text), array(text)],
    gives: finding,
    text: `
      with told as (
        select aggregatetype, aggregateid, max(sequence) as sequence, count(*) as events
        from (
          select aggregatetype, aggregateid, sequence from ${identifier(source)}.outbox_online where type = any($2)
          union all
          select aggregatetype, aggregateid, sequence from ${identifier(source)}.outbox_bulk where type = any($2)) as event
        group by aggregatetype, aggregateid),
      retired as (
        select exists (select from ${identifier(source)}.outbox_partition where truncated_at is not null) as some),
      compared as (
        select coalesce(told.aggregatetype, heard.aggregate) as aggregate, coalesce(told.aggregateid, heard.key) as key,
          told.sequence as told, heard.sequence as heard, coalesce(told.events, 0) as events
        from told
        full join (
          select aggregate, key, sequence from ${identifier(schema)}.inbox
          where reader = $1 and aggregate = any($3)) as heard
          on heard.aggregate = told.aggregatetype and heard.key = told.aggregateid),
      bad as (
        select format('%s: of %s %s it heard %s, ${identifier(source)} told %s', $1, aggregate, key,
          coalesce(heard::text, 'nothing'), coalesce(told::text, 'nothing')) as what
        from compared, retired
        where heard is distinct from told and not (told is null and retired.some))
      select coalesce((select sum(events) from compared), 0)::bigint as rows, (select count(*) from bad) as offending,
        array(select what from bad order by what limit 10) as examples`,
  });

const parkedSql = (schema: string) =>
  composedSql(`audit.events-parked-${schema}`, {
    takes: [],
    gives: finding,
    text: `
      with bad as (
        select format('%s: %s %s is %s after %s attempts: %s', reader, aggregate, key,
          case when state = 'dead' then 'dead' else 'parked' end, attempts, left(error, 100)) as what
        from ${identifier(schema)}.parked_key
        union all
        select format('%s: %s events of %s %s wait behind no key', reader, count(*), aggregate, key)
        from ${identifier(schema)}.parked_event
        where not exists (
          select from ${identifier(schema)}.parked_key as parked
          where parked.reader = parked_event.reader and parked.aggregate = parked_event.aggregate and parked.key = parked_event.key)
        group by reader, aggregate, key)
      select (select count(*) from ${identifier(schema)}.inbox) + (select count(*) from ${identifier(schema)}.parked_key) as rows,
        (select count(*) from bad) as offending, array(select what from bad order by what limit 10) as examples`,
  });

const registeredSql = ({ schema, source }: Pick<Subscription, "schema" | "source">) =>
  composedSql(`audit.events-registered-${schema}-${source}`, {
    takes: [text],
    gives: finding,
    text: `
      with own as (
        select cursor.lane, cursor.system_identifier <> (select system_identifier from pg_control_system()) as foreign_server
        from ${identifier(schema)}.reader_cursor as cursor where cursor.reader = $1 and cursor.source = '${identifier(source)}'),
      bad as (
        select format('%s does not read the outbox of ${identifier(source)}', $1) as what where not exists (select from own)
        union all
        select format('the cursor of %s over ${identifier(source)}/%s belongs to another server', $1, lane)
        from own where foreign_server)
      select (select count(*) from own) as rows, (select count(*) from bad) as offending,
        array(select what from bad order by what limit 10) as examples`,
  });

/** Every key's row counts the events told about it. What is retired is left out. */
const countedSql = sql("audit.events-counted", { takes: [], gives: finding })`
  with told as (
    select 'orders' as source, aggregatetype, aggregateid, max(sequence) as last from orders.outbox_online group by 2, 3
    union all
    select 'inventory', aggregatetype, aggregateid, max(sequence) from inventory.outbox_online group by 2, 3
    union all
    select 'payments', aggregatetype, aggregateid, max(sequence) from payments.outbox_online group by 2, 3
    union all
    select 'wallet', aggregatetype, aggregateid, max(sequence) from wallet.outbox_online group by 2, 3
    union all
    select 'catalog', aggregatetype, aggregateid, max(sequence) from (
      select aggregatetype, aggregateid, sequence from catalog.outbox_online
      union all select aggregatetype, aggregateid, sequence from catalog.outbox_bulk) as both_lanes group by 2, 3
    union all
    select 'accounts', aggregatetype, aggregateid, max(sequence) from accounts.outbox_online group by 2, 3),
  counted as (
    select 'orders' as source, 'order' as aggregate, order_id::text as key, event_sequence as last from orders.orders
    union all
    select 'inventory', 'stock', allocation_id::text, version from inventory.allocation where kind = 'ORDER'
    union all
    select 'inventory', 'shelf', sku, version from inventory.stock where version > 0
    union all
    select 'payments', 'payment', order_id::text, version from payments.payment where version > 0
    union all
    select 'payments', 'provider-line', line, version from payments.provider_choice where version > 0
    union all
    select 'wallet', 'points', order_id::text, version from wallet.order_points
    union all
    select 'catalog', 'product', sku, version from catalog.product
    union all
    select 'accounts', 'account', account_id::text, version from accounts.account),
  retired as (
    select 'orders' as source from orders.outbox_partition where truncated_at is not null
    union select 'inventory' from inventory.outbox_partition where truncated_at is not null
    union select 'payments' from payments.outbox_partition where truncated_at is not null
    union select 'wallet' from wallet.outbox_partition where truncated_at is not null
    union select 'catalog' from catalog.outbox_partition where truncated_at is not null
    union select 'accounts' from accounts.outbox_partition where truncated_at is not null),
  compared as (
    select coalesce(counted.source, told.source) as source, coalesce(counted.aggregate, told.aggregatetype) as aggregate,
      coalesce(counted.key, told.aggregateid) as key, counted.last as counted, told.last as told
    from counted
    full join told on told.source = counted.source and told.aggregatetype = counted.aggregate and told.aggregateid = counted.key),
  bad as (
    select format('%s: %s %s counts %s events, its outbox %s', source, aggregate, key, coalesce(counted, 0), coalesce(told, 0)) as what
    from compared
    where counted is distinct from told and not (told is null and source in (select source from retired)))
  select (select count(*) from compared) as rows, (select count(*) from bad) as offending,
    array(select what from bad order by what limit 10) as examples`;

/** What an order's history says it told, against what lies in the outbox, event by event. */
const writtenSql = sql("audit.events-written", { takes: [], gives: finding })`
  with written as (
    select order_id::text as key, told as type, row_number() over (partition by order_id order by version) as sequence
    from orders.order_history where told is not null),
  outbox as (select aggregateid as key, type, sequence from orders.outbox_online where aggregatetype = 'order'),
  retired as (select exists (select from orders.outbox_partition where truncated_at is not null) as some),
  compared as (
    select coalesce(written.key, outbox.key) as key, coalesce(written.sequence, outbox.sequence) as sequence,
      written.type as written, outbox.type as told
    from written full join outbox on outbox.key = written.key and outbox.sequence = written.sequence),
  bad as (
    select format('order %s, event %s: its history wrote %s, its outbox has %s', key, sequence,
      coalesce(written, 'nothing'), coalesce(told, 'nothing')) as what
    from compared, retired where written is distinct from told and not (told is null and retired.some))
  select (select count(*) from compared) as rows, (select count(*) from bad) as offending,
    array(select what from bad order by what limit 10) as examples`;

const contiguous = owners.map(contiguousSql);
const parked = services.map(({ name }) => parkedSql(name));
const checked = (style: SagaStyle) =>
  subscriptions[style].map((subscription) => ({
    ...subscription,
    heard: heardSql(subscription),
    registered: registeredSql(subscription),
  }));
const checkedIn = { orchestrated: checked("orchestrated"), choreographed: checked("choreographed") };

export const eventChecks: readonly Check[] = [
  {
    id: "events.contiguous",
    invariant: 5,
    title: "The events of every key are numbered without gap or repetition, in the order of its outbox.",
    async run({ tx }) {
      const findings = [];
      for (const statement of contiguous) findings.push(onlyRow(await tx.query(statement, [])));
      return together(findings);
    },
  },
  statementCheck(
    {
      id: "events.counted",
      invariant: 3,
      title: "Every change of a key that is told lies in the outbox, and no other.",
    },
    countedSql,
  ),
  statementCheck(
    { id: "events.written", invariant: 3, title: "What an order's history told lies in the outbox, event by event." },
    writtenSql,
  ),
  {
    id: "events.heard",
    invariant: 3,
    title: "Every reader has applied everything that it listens to, and nothing that was never told.",
    async run({ tx }) {
      const findings = [];
      for (const { heard, reader, types, aggregates } of checkedIn[await readSagaStyle(tx)]) {
        findings.push(onlyRow(await tx.query(heard, [reader, types, aggregates])));
      }
      return together(findings);
    },
  },
  {
    id: "events.registered",
    invariant: 3,
    title: "Every reader has a cursor over every outbox that it listens to, of this server.",
    async run({ tx }) {
      const findings = [];
      for (const { registered, reader } of checkedIn[await readSagaStyle(tx)]) {
        findings.push(onlyRow(await tx.query(registered, [reader])));
      }
      return together(findings);
    },
  },
  {
    id: "events.parked",
    invariant: 3,
    title: "No key waits for a retry or for a person.",
    async run({ tx }) {
      const findings = [];
      for (const statement of parked) findings.push(onlyRow(await tx.query(statement, [])));
      return together(findings);
    },
  },
];
