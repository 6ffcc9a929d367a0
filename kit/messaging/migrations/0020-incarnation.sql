-- Who tells: a producer that was restored from a backup tells other things under sequences that it had told before, so it
-- must not pass for the one that it was. Every row carries its producer's incarnation as a constant default: it costs the
-- writer nothing, and whoever reads the row, by SQL or from the write-ahead log, has it.
create table outbox_incarnation (
  number int generated always as identity primary key,
  incarnation uuid not null unique default gen_random_uuid(),
  began_at timestamptz not null default clock_timestamp(),
  -- Of the server that it began on: another one, or another timeline, is a restored or a promoted producer.
  system_identifier bigint not null,
  timeline int not null,
  reason text not null
);

do $do$
declare
  home text := current_schema();
  role text := current_setting('onsale.role');
  first uuid;
begin
  -- Begins a new incarnation. Waits for the writers that are under way, half a second at most, so that no queue forms
  -- behind it; only an administrator may.
  execute format($f$
    create function outbox_renew_incarnation(in_reason text) returns uuid
    language plpgsql volatile security definer set lock_timeout = '500ms' as $$
    declare renewed uuid; lane text;
    begin
      insert into %1$I.outbox_incarnation (system_identifier, timeline, reason)
      select system.system_identifier, checkpoint.timeline_id, in_reason
      from pg_control_system() as system, pg_control_checkpoint() as checkpoint
      returning incarnation into renewed;
      foreach lane in array array['online', 'bulk'] loop
        execute format('alter table %1$I.outbox_%%s alter column incarnation set default %%L', lane, renewed);
      end loop;
      return renewed;
    end $$ $f$, home);

  -- Begins a new incarnation when this is not the server, or not the timeline, on which the current one began. Asked at
  -- every start, before anything is written. Gives the new one, or null.
  execute format($f$
    create function outbox_notice_restore() returns uuid
    language plpgsql volatile security definer as $$
    declare known record; here record;
    begin
      select system_identifier, timeline into known from %1$I.outbox_incarnation order by number desc limit 1;
      select system.system_identifier, checkpoint.timeline_id as timeline into here
      from pg_control_system() as system, pg_control_checkpoint() as checkpoint;
      if known.system_identifier <> here.system_identifier then
        return %1$I.outbox_renew_incarnation('restored on another server');
      elsif known.timeline <> here.timeline then
        return %1$I.outbox_renew_incarnation('restored or promoted: timeline ' || here.timeline);
      end if;
      return null;
    end $$ $f$, home);

  insert into outbox_incarnation (system_identifier, timeline, reason)
  select system.system_identifier, checkpoint.timeline_id, 'first'
  from pg_control_system() as system, pg_control_checkpoint() as checkpoint
  returning incarnation into first;
  execute format('alter table outbox_online add column incarnation uuid not null default %L', first);
  execute format('alter table outbox_bulk add column incarnation uuid not null default %L', first);

  execute 'revoke execute on function outbox_renew_incarnation(text) from public';
  execute format('revoke all on outbox_incarnation from %I', role);
  execute format('grant select on outbox_incarnation to %I, onsale_reader', role);
end $do$;
