-- The order in which orders arrived: whoever comes first is decided by this number alone. Gaps are of no matter.
create sequence arrival;

-- One row per order; what changes at each step stands here and is in no index, so that a step is an update in place.
create table orders (
  order_id uuid primary key,
  buyer_id uuid not null,
  arrival bigint not null,
  placed_at timestamptz not null,
  currency text not null check (currency ~ '^[A-Z]{3}$'),
  total_minor bigint not null check (total_minor between 1 and 1000000000000),
  line_count int not null check (line_count between 1 and 1000),
  payment_method text not null check (payment_method in ('card', 'wallet', 'split')),
  -- Who leads its steps: orders, or nobody.
  style text not null check (style in ('orchestrated', 'choreographed')),
  -- The part of the total that is paid with points.
  points_minor bigint not null,
  -- Everything that the placing of the order set off carries it.
  correlation_id text not null,
  status text not null check (status in ('PENDING', 'CONFIRMED', 'REJECTED', 'CANCELLED')),
  -- Why the order does not, or will not, end CONFIRMED.
  reason text,
  -- Where its saga stands, as the saga writes it: "forward authorise-payment".
  progress text not null,
  progressed_at timestamptz not null,
  -- Counts the rows of order_history.
  version int not null,
  -- Counts the events told about the order. Not every step of the history is told.
  event_sequence int not null,
  -- By card, and given back to it.
  paid_minor bigint not null check (paid_minor >= 0),
  refunded_minor bigint not null check (refunded_minor between 0 and paid_minor),
  -- With points, and given back as points.
  paid_points_minor bigint not null check (paid_points_minor in (0, points_minor)),
  refunded_points_minor bigint not null check (refunded_points_minor between 0 and paid_points_minor),
  check (case payment_method when 'card' then points_minor = 0 when 'wallet' then points_minor = total_minor
    else points_minor between 1 and total_minor - 1 end),
  check (status not in ('REJECTED', 'CANCELLED') or reason is not null)
-- Room for the four versions that an order's steps leave behind within milliseconds, on the page where it was born.
) with (fillfactor = 60);
-- A person's own orders, newest first: the ids are UUIDv7.
create index orders_of_buyer on orders (buyer_id, order_id desc);

-- Who leads the steps of this shop's orders, since its first start. One row.
create table saga_style (
  is_one boolean primary key default true check (is_one),
  style text not null check (style in ('orchestrated', 'choreographed'))
);

-- Lines are written with their order, in one transaction, by one statement of ours; a foreign key would look the order up
-- once more for each of them and lock its row. The audit checks what it would.
create table order_line (
  order_id uuid not null,
  sku text not null,
  -- The place in the request, from 1.
  position int not null,
  quantity int not null check (quantity between 1 and 1000000),
  -- A snapshot: what the buyer agreed to, whatever the catalog says later.
  unit_price_minor bigint not null check (unit_price_minor >= 0),
  returned_quantity int not null default 0 check (returned_quantity between 0 and quantity),
  primary key (order_id, sku)
);

-- How the price of a line is borne, where it is not simply the buyer's card: who gives a discount, who bears a tax, what the
-- buyer pays with points. What is left of the price is the card's; it is not written down, so that a plain order costs no
-- row more. Rows are written with their order and never change.
create table order_allocation (
  order_id uuid not null,
  sku text not null,
  kind text not null check (kind in ('DISCOUNT', 'TAX', 'POINTS')),
  borne_by text not null,
  amount_minor bigint not null check (amount_minor between 1 and 1000000000000),
  primary key (order_id, sku, kind, borne_by)
);

-- Everything that ever happened to an order. Append-only.
create table order_history (
  order_id uuid not null,
  version int not null,
  at timestamptz not null,
  what text not null,
  -- The type of the event that this step told, if it told one.
  told text,
  -- After the step.
  status text not null,
  reason text,
  -- Where the step moved money.
  amount_minor bigint,
  -- Id of the event or request that set it off.
  caused_by text,
  -- Of the first step: what the order was placed as, so that the history alone tells the whole order.
  placed jsonb check ((placed is not null) = (version = 1)),
  primary key (order_id, version)
);

-- Whether somebody looks at what comes back before it is paid for, and how long that may take. The last row counts.
create table return_policy (
  version int generated always as identity primary key,
  inspect boolean not null,
  lapse_after_days int not null check (lapse_after_days between 1 and 365),
  -- Null: as the shop began.
  changed_by uuid,
  changed_at timestamptz not null default clock_timestamp()
);
insert into return_policy (inspect, lapse_after_days) values (false, 30);

-- What a buyer sends back of a confirmed order, or cancels of it.
--   REQUESTED  nobody has looked yet at what comes back
--   ACCEPTED   some or all of it is given back
--   REFUSED    somebody has looked, and none of it is
--   LAPSED     nobody has looked in time, or the order was cancelled meanwhile
create table order_return (
  return_id uuid primary key,
  order_id uuid not null,
  kind text not null check (kind in ('RETURN', 'CANCELLATION')),
  state text not null check (state in ('REQUESTED', 'ACCEPTED', 'REFUSED', 'LAPSED')),
  -- To the card, and as points.
  refund_minor bigint not null default 0 check (refund_minor >= 0),
  points_minor bigint not null default 0 check (points_minor >= 0),
  requested_at timestamptz not null,
  -- Null: nobody looks at it.
  lapses_at timestamptz,
  ended_at timestamptz,
  -- Why it lapsed.
  reason text,
  inspected_by uuid,
  note text,
  check ((state = 'REQUESTED') = (ended_at is null)),
  check (state = 'ACCEPTED' or (lapses_at is not null and refund_minor = 0 and points_minor = 0)),
  check ((state = 'LAPSED') = (reason is not null)),
  check ((inspected_by is not null) = (lapses_at is not null and state in ('ACCEPTED', 'REFUSED')))
);
create index order_return_of_order on order_return (order_id, return_id);
-- For those who look, the oldest first; and what an order has out, before it may have more.
create index order_return_open on order_return (return_id) where state = 'REQUESTED';
create index order_return_open_of_order on order_return (order_id, return_id) where state = 'REQUESTED';

create table order_return_line (
  return_id uuid not null references order_return,
  sku text not null,
  quantity int not null check (quantity between 1 and 1000000),
  -- What is given back of it.
  accepted_quantity int not null default 0 check (accepted_quantity between 0 and quantity),
  primary key (return_id, sku)
);

-- What was found when somebody looked at a return, once.
create table order_return_finding (
  return_id uuid not null references order_return,
  sku text not null,
  verdict text not null check (verdict in ('GOOD', 'QUARANTINED', 'WRITTEN_OFF', 'REFUSED')),
  -- Why it is refused.
  reason text,
  quantity int not null check (quantity between 1 and 1000000),
  unique nulls not distinct (return_id, sku, verdict, reason),
  check ((verdict = 'REFUSED') = (reason is not null))
);

-- What came of a return, and was told: each instrument's refund, and that the goods are put away. Told again, or under another
-- id, it is neither added nor noted twice.
create table order_return_told (
  return_id uuid not null,
  what text not null check (what in ('card', 'points', 'goods')),
  primary key (return_id, what)
);

-- This service's own copy of what the catalog tells: nobody is asked for a price while an order is placed.
create table product (
  sku text primary key,
  price_minor bigint not null check (price_minor >= 0),
  currency text not null,
  -- Of the event it was taken from; a later one wins, in whatever order they come.
  sequence bigint not null
);

do $do$
declare
  role text := current_setting('onsale.role');
begin
  execute format('revoke update, delete, truncate on order_history, order_allocation, order_return, order_return_line,
    order_return_finding, order_return_told, return_policy from %I', role);
  -- A return is asked for once, and ends once.
  execute format('grant update (state, refund_minor, points_minor, ended_at, reason, inspected_by, note) on order_return to %I', role);
  execute format('grant update (accepted_quantity) on order_return_line to %I', role);
end $do$;
