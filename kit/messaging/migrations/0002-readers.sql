-- How far this service has read each outbox, one row per (reader, source, lane), moved in the transaction of the effects.
-- Read so far: what is visible in `snap` up to position `high`. While a window is open: from there to what is visible in
-- `next_snap` up to `next_high`, and of that everything up to position `at`.
create table reader_cursor (
  reader text not null,
  source text not null,
  lane text not null check (lane in ('online', 'bulk')),
  snap pg_snapshot not null default '3:3:',
  high bigint not null default 0,
  next_snap pg_snapshot,
  next_high bigint,
  at bigint not null default 0,
  -- When the window's snapshot was taken: its end is this moment's watermark.
  next_taken_at timestamptz,
  -- Everything that the source committed before this moment is applied here (keys that are parked excepted).
  watermark timestamptz not null default '-infinity',
  -- Who may move this row: only the owner of this epoch. A take-over counts it up.
  epoch bigint not null default 0,
  owner text,
  lease_until timestamptz not null default '-infinity',
  -- Of the server whose transaction ids the snapshots speak of: they mean nothing on a restored one.
  system_identifier bigint not null,
  primary key (reader, source, lane)
) with (fillfactor = 50);

-- The highest sequence applied per key, kept for ever: longer than any redelivery can reach back.
create table inbox (
  reader text not null,
  aggregate text not null,
  key text not null,
  sequence bigint not null,
  -- The key first: it differs in nearly every comparison, the others hardly ever. Claiming costs a seventh less.
  primary key (key, aggregate, reader)
) with (fillfactor = 50);

-- Keys whose head failed. Everything of such a key waits in parked_event; all other keys flow.
create table parked_key (
  reader text not null,
  aggregate text not null,
  key text not null,
  source text not null,
  state text not null check (state in ('waiting', 'dead')),
  attempts int not null,
  next_attempt_at timestamptz not null,
  error text not null,
  parked_at timestamptz not null default clock_timestamp(),
  primary key (reader, aggregate, key)
);
create index parked_key_due on parked_key (reader, next_attempt_at) where state = 'waiting';

create table parked_event (
  reader text not null,
  aggregate text not null,
  key text not null,
  sequence bigint not null,
  event jsonb not null,
  primary key (reader, aggregate, key, sequence),
  -- Without a cascade: to free a key that still has events waiting is a fault, and must fail.
  foreign key (reader, aggregate, key) references parked_key
);

create function reader_system_identifier() returns bigint language sql stable security definer
as 'select system_identifier from pg_control_system()';
