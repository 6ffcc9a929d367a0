-- One outbox per lane: the log of what this service tells. Insert-only, and the columns stand in this order because
-- defaults are evaluated in it: a position allocated before its transaction id could be skipped by a reader. Payload and
-- headers are kept as they were written: nobody looks anything up in them, and as jsonb an event costs the server a third
-- more to store and twice as much to read.
create table outbox_online (
  id uuid not null,
  aggregatetype text not null,
  aggregateid text not null,
  type text not null,
  payload json not null,
  xid xid8 not null default pg_current_xact_id(),
  position bigint generated always as identity (cache 1 no cycle),
  sequence bigint not null,
  headers json not null,
  created_at timestamptz not null default clock_timestamp(),
  primary key (position)
) partition by range (position);
create unique index outbox_online_by_xid on outbox_online (xid, position);

create table outbox_bulk (
  id uuid not null,
  aggregatetype text not null,
  aggregateid text not null,
  type text not null,
  payload json not null,
  xid xid8 not null default pg_current_xact_id(),
  position bigint generated always as identity (cache 1 no cycle),
  sequence bigint not null,
  headers json not null,
  created_at timestamptz not null default clock_timestamp(),
  primary key (position)
) partition by range (position);
create unique index outbox_bulk_by_xid on outbox_bulk (xid, position);

-- The partitions of both lanes. A sealed one takes no new rows; `seal` is a snapshot taken after that was certain.
create table outbox_partition (
  name text primary key,
  lane text not null check (lane in ('online', 'bulk')),
  first_position bigint not null,
  last_position bigint not null,
  seal pg_snapshot,
  sealed_at timestamptz,
  truncated_at timestamptz,
  unique (lane, first_position)
);

-- How far each reader of this outbox says it has come. A partition leaves only when all of them have passed it.
create table outbox_reader (
  reader text not null,
  lane text not null check (lane in ('online', 'bulk')),
  snap pg_snapshot not null,
  high bigint not null,
  reported_at timestamptz not null default clock_timestamp(),
  primary key (reader, lane)
);

-- The functions run with their owner's rights, so that a service's role can neither change its outbox nor its partitions,
-- and readers need no rights on its sequences. They name this schema literally: whoever calls them has another search path.
do $do$
declare
  home text := current_schema();
  role text := current_setting('onsale.role');
begin
  -- The positions allocated so far, and a transaction id that was taken after they were read. A reader that knows these
  -- positions already gets no fence, because taking one costs a transaction id.
  -- `last_value` of a sequence is torn under load; pg_sequence_last_value is not.
  execute format($f$
    create function outbox_fence(known_online bigint, known_bulk bigint,
      out high_online bigint, out high_bulk bigint, out fence xid8, out taken_at timestamptz, out session text)
    language plpgsql volatile security definer as $$
    begin
      session := pg_backend_pid() || '@' || extract(epoch from pg_postmaster_start_time());
      taken_at := clock_timestamp();
      high_online := coalesce(pg_sequence_last_value('%1$I.outbox_online_position_seq'), 0);
      high_bulk := coalesce(pg_sequence_last_value('%1$I.outbox_bulk_position_seq'), 0);
      if high_online <> known_online or high_bulk <> known_bulk then
        fence := pg_current_xact_id();
      end if;
    end $$ $f$, home);

  -- Makes partitions until `ahead` of them lie wholly before the last position; returns how many it made.
  execute format($f$
    create function outbox_extend(in_lane text, size bigint, ahead int) returns int
    language plpgsql volatile security definer as $$
    declare
      head bigint; next bigint; made int := 0; part text;
    begin
      if in_lane not in ('online', 'bulk') then raise exception 'no such lane: %%', in_lane; end if;
      perform pg_advisory_xact_lock(hashtextextended('%1$I.outbox_extend', 0));
      head := coalesce(pg_sequence_last_value(format('%1$I.outbox_%%s_position_seq', in_lane)::regclass), 0);
      select coalesce(max(last_position), 0) + 1 into next from %1$I.outbox_partition where lane = in_lane;
      while next <= head + size * ahead loop
        part := format('outbox_%%s_%%s', in_lane, next);
        -- Created apart and then attached: CREATE ... PARTITION OF would lock writers out of the parent.
        execute format('create table %1$I.%%I (like %1$I.outbox_%%s including defaults including constraints including indexes)', part, in_lane);
        execute format('alter table %1$I.outbox_%%s attach partition %1$I.%%I for values from (%%s) to (%%s)', in_lane, part, next, next + size);
        insert into %1$I.outbox_partition (name, lane, first_position, last_position) values (part, in_lane, next, next + size - 1);
        next := next + size;
        made := made + 1;
      end loop;
      return made;
    end $$ $f$, home);

  execute format($f$
    create function outbox_report(in_reader text, in_lane text, in_snap pg_snapshot, in_high bigint) returns void
    language sql volatile security definer as $$
      insert into %1$I.outbox_reader (reader, lane, snap, high) values (in_reader, in_lane, in_snap, in_high)
      on conflict (reader, lane) do update set snap = excluded.snap, high = excluded.high, reported_at = clock_timestamp()
    $$ $f$, home);

  -- Remembers a snapshot for every partition whose last position was allocated before `fence_high`. The caller took the
  -- fence first and the snapshot after it.
  execute format($f$
    create function outbox_seal(in_lane text, fence_high bigint, in_snap pg_snapshot) returns int
    language plpgsql volatile security definer as $$
    declare sealed int;
    begin
      update %1$I.outbox_partition set seal = in_snap, sealed_at = clock_timestamp()
      where lane = in_lane and seal is null and last_position <= fence_high;
      get diagnostics sealed = row_count;
      return sealed;
    end $$ $f$, home);

  -- Whether everything that had ended when `seal` was taken, and everything that was open then, is visible in `snap`.
  execute format($f$
    create function outbox_has_passed(snap pg_snapshot, seal pg_snapshot) returns boolean
    language sql immutable as $$
      select pg_snapshot_xmax(snap) >= pg_snapshot_xmax(seal)
        and not exists (select from pg_snapshot_xip(seal) as open(xid) where not pg_visible_in_snapshot(open.xid, snap))
        and not exists (select from pg_snapshot_xip(snap) as open(xid) where pg_visible_in_snapshot(open.xid, seal))
    $$ $f$);

  -- Empties the oldest sealed partition that is older than `keep` and that every reader has passed; returns its name.
  -- That a reader's high is beyond the last position is not enough: a transaction that was open when the reader passed
  -- may have committed a row behind it. The lock waits 100 ms at most, so that no writer queues behind it for longer.
  execute format($f$
    create function outbox_retire(in_lane text, keep interval) returns text
    language plpgsql volatile security definer set lock_timeout = '100ms' as $$
    declare oldest record; unread boolean;
    begin
      select * into oldest from %1$I.outbox_partition
      where lane = in_lane and seal is not null and truncated_at is null and sealed_at <= clock_timestamp() - keep
      order by first_position limit 1 for update skip locked;
      if not found or not exists (select from %1$I.outbox_reader where lane = in_lane) then return null; end if;
      if exists (select from %1$I.outbox_reader
                 where lane = in_lane and (high < oldest.last_position or not %1$I.outbox_has_passed(snap, oldest.seal))) then
        return null;
      end if;
      -- The same once more, row by row: a fault in the reasoning above must stop here and not destroy an unread event.
      execute format('select exists (select from %1$I.%%I as event cross join %1$I.outbox_reader as reader
        where reader.lane = $1 and not pg_visible_in_snapshot(event.xid, reader.snap))', oldest.name) into unread using in_lane;
      if unread then raise exception 'partition %% has a row that a reader has not passed', oldest.name; end if;
      execute format('lock table %1$I.%%I in access exclusive mode', oldest.name);
      execute format('truncate %1$I.%%I', oldest.name);
      update %1$I.outbox_partition set truncated_at = clock_timestamp() where name = oldest.name;
      return oldest.name;
    end $$ $f$, home);

  execute 'grant execute on all functions in schema ' || quote_ident(home) || ' to public';

  -- The outbox is a published interface: every service may read it. Its own service may insert these columns and no others.
  if not exists (select from pg_roles where rolname = 'onsale_reader') then
    begin
      create role onsale_reader nologin;
    exception when duplicate_object or unique_violation then null;
    end;
  end if;
  execute format('grant onsale_reader to %I', role);
  execute format('grant usage on schema %I to onsale_reader', home);
  execute 'grant select on outbox_online, outbox_bulk to onsale_reader';
  execute format('revoke all on outbox_online, outbox_bulk, outbox_partition, outbox_reader from %I', role);
  execute format('grant insert (id, aggregatetype, aggregateid, type, payload, sequence, headers) on outbox_online, outbox_bulk to %I', role);
  execute format('grant select on outbox_partition, outbox_reader to %I', role);
end $do$;

-- The grants stop the service's role; these stop everybody else who would edit history by hand.
create function outbox_refuse_change() returns trigger language plpgsql as $$
begin
  raise exception 'The outbox is insert-only: % is refused.', tg_op using errcode = 'restrict_violation';
end $$;
create trigger outbox_online_insert_only before update or delete on outbox_online for each statement execute function outbox_refuse_change();
create trigger outbox_bulk_insert_only before update or delete on outbox_bulk for each statement execute function outbox_refuse_change();

-- Partitions of half a million rows: a minute of the fastest stream measured; eight of them lie ready.
select outbox_extend('online', 500000, 8), outbox_extend('bulk', 500000, 8);
