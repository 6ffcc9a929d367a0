-- Every message to people, once per event: its id is the event's, so a redelivery finds it and can't write another.
create table message (
  id uuid primary key,
  order_id uuid not null,
  -- What it tells. An order has one message of each kind, whatever happens to its events.
  kind text not null check (kind in ('order-confirmed')),
  -- Where it goes: the name of the sender it was given to.
  channel text not null,
  body jsonb not null,
  status text not null default 'pending' check (status in ('pending', 'sent')),
  -- Attempts begun: a crash in the middle of a call counts as one.
  attempts int not null default 1 check (attempts > 0),
  created_at timestamptz not null default clock_timestamp(),
  sent_at timestamptz,
  unique (order_id, kind),
  check ((status = 'sent') = (sent_at is not null))
) with (fillfactor = 70);
