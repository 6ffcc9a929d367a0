-- One outbox per lane: the log of what this service tells. Insert-only; the columns in this order, because a position
-- that is allocated before the transaction id can be skipped by a reader (see docs on the snapshot reader).
create table outbox_online (
  id uuid not null,
  aggregatetype text not null,
  aggregateid text not null,
  type text not null,
  payload jsonb not null,
  xid xid8 not null default pg_current_xact_id(),
  position bigint generated always as identity (cache 1 no cycle),
  sequence bigint not null,
  headers jsonb not null,
  created_at timestamptz not null default clock_timestamp(),
  primary key (position)
) partition by range (position);
create unique index outbox_online_by_xid on outbox_online (xid, position);

create table outbox_bulk (
  id uuid not null,
  aggregatetype text not null,
  aggregateid text not null,
  type text not null,
  payload jsonb not null,
  xid xid8 not null default pg_current_xact_id(),
  position bigint generated always as identity (cache 1 no cycle),
  sequence bigint not null,
  headers jsonb not null,
  created_at timestamptz not null default clock_timestamp(),
  primary key (position)
) partition by range (position);
create unique index outbox_bulk_by_xid on outbox_bulk (xid, position);
