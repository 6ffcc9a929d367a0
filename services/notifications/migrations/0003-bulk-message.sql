-- A message to many: what it says, to whom, and how far it is.
create table bulk_message (
  id uuid primary key,
  -- By language: {"en": {"title": ..., "text": ...}}.
  texts jsonb not null,
  channels text[] not null check (channels <@ array['mail', 'push'] and cardinality(channels) > 0),
  -- Null: everybody who wants news.
  person_ids uuid[],
  rate_per_second double precision not null check (rate_per_second > 0),
  send_at timestamptz not null,
  status text not null default 'scheduled' check (status in ('scheduled', 'done', 'cancelled')),
  -- The people up to this one have their message. Moved in the transaction that writes theirs.
  reached_person_id uuid,
  all_reached boolean not null default false,
  -- The moment up to which the rate is used up: all processes share it.
  paid_until timestamptz,
  created_by uuid not null,
  created_at timestamptz not null default clock_timestamp(),
  ended_at timestamptz,
  check ((status = 'scheduled') = (ended_at is null))
);
create index bulk_message_due on bulk_message (send_at) where status = 'scheduled';
