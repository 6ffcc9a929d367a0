-- What a person has to look at: an event whose last attempt failed. It leaves the parking and lies here whole, until it is
-- redriven or dropped. Where its type's rule is `block`, its key waits behind it (parked_key.state 'dead').
create table dead_letter (
  reader text not null,
  -- The event's id; of what is no event at all, where it was found.
  event_id text not null,
  aggregate text not null,
  key text not null,
  sequence bigint not null,
  type text not null,
  source text not null,
  blocks boolean not null,
  -- False for what was found in the log and is no event of ours: it can be looked at and dropped, not redriven.
  readable boolean not null default true,
  event jsonb not null,
  error text not null,
  -- The error without what differs from one occurrence to the next: letters of one cause are handled together.
  cause text not null,
  attempts int not null,
  -- Counted up by every edit, so that nobody stores over what another has stored meanwhile.
  revision int not null default 0,
  -- In milliseconds, which is what a page's cursor can hold.
  died_at timestamptz not null default date_trunc('milliseconds', clock_timestamp()),
  primary key (reader, event_id)
);
create index dead_letter_by_age on dead_letter (died_at, reader, event_id);
create index dead_letter_of_key on dead_letter (reader, aggregate, key);

-- The head of a dead key was kept in the parking until now.
insert into dead_letter (reader, event_id, aggregate, key, sequence, type, source, blocks, event, error, cause, attempts)
select reader, event ->> 'id', aggregate, key, sequence, event ->> 'type', source, true, event, error, left(error, 200), attempts
from (
  select distinct on (waiting.reader, waiting.aggregate, waiting.key) waiting.*, parked.source, parked.error, parked.attempts
  from parked_event as waiting
  join parked_key as parked on parked.reader = waiting.reader and parked.aggregate = waiting.aggregate and parked.key = waiting.key
  where parked.state = 'dead'
  order by waiting.reader, waiting.aggregate, waiting.key, waiting.sequence
) as head;
delete from parked_event using dead_letter as letter
where parked_event.reader = letter.reader and parked_event.aggregate = letter.aggregate and parked_event.key = letter.key
  and parked_event.sequence = letter.sequence;

-- The attempt under way at a key's head: only it may settle the key. One that was overtaken finds another here, or none.
alter table parked_key add column attempt uuid;

-- A bulk redrive under way: a job works it off, so many a second, whatever process it runs in.
create table redrive (
  redrive_id uuid primary key,
  reader text not null,
  -- Which letters: those that fit everything that is given here and died before it was started. What dies again stays.
  type text,
  cause text,
  key text,
  mode text not null check (mode in ('redeliver', 'reprocess')),
  per_second double precision not null check (per_second > 0),
  -- Letters that fitted when it was started, and how many of them have been put back.
  counted bigint not null,
  redriven bigint not null default 0,
  state text not null default 'running' check (state in ('running', 'done', 'cancelled')),
  started_by text not null,
  started_at timestamptz not null default clock_timestamp(),
  -- What it has looked at: letters up to here, in the order of their age, and at what moment by its own pace.
  at_died_at timestamptz not null default '-infinity',
  at_event_id text not null default '',
  paced_at timestamptz not null default clock_timestamp(),
  ended_at timestamptz
);
create index redrive_running on redrive (started_at) where state = 'running';
create index redrive_by_start on redrive (started_at);

-- Who did what here, with what it was before and after. Nothing of it is ever changed.
create table operation_log (
  position bigint generated always as identity primary key,
  at timestamptz not null default clock_timestamp(),
  operator text not null,
  operation text not null,
  reader text,
  -- What it was done to: an event's id, a redrive's, a stream's name.
  target text not null,
  reason text,
  before jsonb,
  after jsonb
);
create index operation_log_by_target on operation_log (target, position);

create function operation_log_refuse_change() returns trigger language plpgsql as $$
begin
  raise exception 'The operation log is append-only: % is refused.', tg_op using errcode = 'restrict_violation';
end $$;
create trigger operation_log_append_only before update or delete or truncate on operation_log
  for each statement execute function operation_log_refuse_change();

do $do$
begin
  execute format('revoke update, delete, truncate on operation_log from %I', current_setting('onsale.role'));
end $do$;

-- A stream that a person has paused: nobody may take its lease, and who has it gives it back.
alter table reader_cursor
  add column paused_at timestamptz,
  add column paused_by text,
  add column pause_reason text;
