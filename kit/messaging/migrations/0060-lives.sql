-- A producer that was restored from a backup goes on under sequences that it had told before, with other facts. Whoever had those
-- must hear these, and must not take a late one of the former life for new. So a sequence counts within a life of its producer:
-- when it began, in milliseconds since 1970; 0 for the first.
alter table inbox add column life bigint not null default 0;

do $do$
begin
  -- As before, and the incarnation's id (version 7) tells when it began: whoever reads it knows which of two is the later one.
  execute format($f$
    create or replace function outbox_renew_incarnation(in_reason text) returns uuid
    language plpgsql volatile security definer set lock_timeout = '500ms' as $$
    declare renewed uuid; lane text;
    begin
      insert into %1$I.outbox_incarnation (incarnation, system_identifier, timeline, reason)
      select uuidv7(), system.system_identifier, checkpoint.timeline_id, in_reason
      from pg_control_system() as system, pg_control_checkpoint() as checkpoint
      returning incarnation into renewed;
      foreach lane in array array['online', 'bulk'] loop
        execute format('alter table %1$I.outbox_%%s alter column incarnation set default %%L', lane, renewed);
      end loop;
      return renewed;
    end $$ $f$, current_schema());
end $do$;
