-- Everything that is told to people, a row each. Its id is what the outside knows it by, however often it is sent.
create table message (
  id uuid primary key,
  kind text not null check (kind in
    ('order-confirmed', 'order-rejected', 'order-cancelled', 'order-returned', 'return-requested', 'return-refused',
     'return-lapsed', 'confirm-address', 'news')),
  channel text not null check (channel in ('chat', 'mail', 'push')),
  -- The order, the return, the bulk message or the question that it tells of.
  about uuid not null,
  -- Null: the shop's own people.
  recipient_id uuid,
  order_id uuid,
  -- Whose order it tells of: what tells of it later may name the order only.
  buyer_id uuid,
  -- The event that it goes back to. Null: it goes back to a request.
  event_id uuid,
  language text not null,
  -- What the wording is made of. No name and no address: where it goes is looked up when it goes.
  facts jsonb not null,
  -- kept: the shop has no such channel, so this row is all that is told. withdrawn: the recipient does not want it any more.
  -- dead: not sent, and not tried any more until an operator has it sent again.
  status text not null check (status in ('pending', 'sent', 'kept', 'withdrawn', 'dead')),
  -- Attempts begun: a crash in the middle of a call counts as one.
  attempts int not null default 0 check (attempts >= 0),
  -- When it is sent, or tried again; while it is being sent, when others may take it up.
  due_at timestamptz not null default clock_timestamp(),
  last_failure text,
  created_at timestamptz not null default clock_timestamp(),
  ended_at timestamptz,
  -- What happened is told once to everybody, by each channel, whatever happens to its events.
  constraint told_once unique nulls not distinct (about, kind, channel, recipient_id),
  check ((status = 'pending') = (ended_at is null))
) with (fillfactor = 70);

-- What a bulk message still has to send does not stand in the way of what happens now.
create index message_due on message (channel, due_at) where status = 'pending' and kind <> 'news';
create index message_due_news on message (about, channel, due_at) where status = 'pending' and kind = 'news';
create index message_progress on message (about, status) where kind = 'news';
create index message_dead on message (channel, id) where status = 'dead';
create index message_unsent on message (recipient_id) where status = 'pending' and recipient_id is not null;
create index message_of_order on message (order_id, id) where order_id is not null;

-- One row per channel: whether there is anybody at its other end. All processes go by it.
create table line (
  channel text primary key check (channel in ('chat', 'mail', 'push')),
  -- Failures since something was taken last. While there are any, one message at a time looks whether it works again.
  failures int not null default 0 check (failures >= 0),
  -- No call before this moment.
  closed_until timestamptz
);
insert into line (channel) values ('chat'), ('mail'), ('push');
