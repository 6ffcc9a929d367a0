-- Where goods lie. A shop that names no places has one.
create table location (
  location text collate "C" primary key,
  -- Where several could serve an order, the lower is asked first.
  rank int not null
);
insert into location (location, rank) values ('main', 0);

-- What there is of each SKU, in pieces, over all locations. This row is the SKU's lock: whoever changes anything of its
-- stock, wherever it lies, holds it. `received` is what came in to be sold, corrected by what people found or missed;
-- `held` waits for its orders' payment, `sold` is the orders' for good (less what came back); the rest is available.
-- `quarantined` is here and not for sale, `in_transit` is on its way between two locations. The checks are the last line
-- against overselling: whatever the code above believes, a change that takes more than was received does not commit.
-- SKUs compare by code point, so that every process locks rows in the same order whatever the server's language is.
create table stock (
  sku text collate "C" primary key,
  received bigint not null default 0 check (received >= 0),
  held bigint not null default 0 check (held >= 0),
  sold bigint not null default 0 check (sold >= 0),
  quarantined bigint not null default 0 check (quarantined >= 0),
  in_transit bigint not null default 0 check (in_transit >= 0),
  -- Whether it ever lay elsewhere than in main: then stock_at has a row for each of its locations.
  located boolean not null default false,
  -- Whether its units have names, as seats do: then they all lie in main, and unit has a row for each.
  identified boolean not null default false,
  -- Counts the shelf.* events of this SKU.
  version int not null default 0,
  per_buyer_limit int check (per_buyer_limit >= 1),
  constraint taken_within_received check (held + sold <= received)
  -- A hot SKU is rewritten by every batch: half of its page is left free so that the new row stays in the page.
) with (fillfactor = 50);

-- The same by location, of the SKUs that lie in several; the rows of a SKU add up to its stock. A SKU that lies in main
-- alone has none, so that a hot one costs one row and one lock.
create table stock_at (
  sku text collate "C" not null references stock,
  location text collate "C" not null references location,
  received bigint not null default 0 check (received >= 0),
  held bigint not null default 0 check (held >= 0),
  sold bigint not null default 0 check (sold >= 0),
  quarantined bigint not null default 0 check (quarantined >= 0),
  in_transit bigint not null default 0 check (in_transit >= 0),
  primary key (sku, location),
  constraint taken_within_received_there check (held + sold <= received)
) with (fillfactor = 50);

-- Units that have names. A hold names those that it has; one that came back damaged is GONE from the shelf for good.
create table unit (
  sku text collate "C" not null references stock,
  unit text collate "C" not null,
  -- In the order in which they came: who names none gets the first that is free.
  rank bigint generated always as identity,
  state text not null default 'FREE' check (state in ('FREE', 'HELD', 'SOLD', 'GONE')),
  hold_id uuid,
  primary key (sku, unit),
  check ((state in ('FREE', 'GONE')) = (hold_id is null))
) with (fillfactor = 70);
create index unit_by_rank on unit (sku, rank);
create index unit_free on unit (sku, rank) where state = 'FREE';
create index unit_of_hold on unit (hold_id) where hold_id is not null;

-- What became of each order here, one row per order that inventory has heard of; and of each hold that a buyer took before
-- there was an order, under the hold's own id.
--   HELD      its units are held until `expires_at`
--   SOLD      its units are the order's
--   REFUSED   it got nothing
--   EXPIRED   its time passed and the units went back; it has not asked for them since, and so has not heard of it
--   LAPSED    it asked for its units too late and was told so
--   ATTACHED  a buyer's hold that an order took over: its units are among the order's
--   RELEASED  it ended and was told that nothing is left; also the mark of an order that ended before it was allocated,
--             which keeps a late reserve from holding anything
create table allocation (
  allocation_id uuid primary key,
  kind text not null check (kind in ('ORDER', 'HOLD')),
  state text not null check (state in ('HELD', 'SOLD', 'REFUSED', 'EXPIRED', 'LAPSED', 'ATTACHED', 'RELEASED')),
  -- Counts the stock.* events of this order; of a buyer's hold nothing is told.
  version int not null,
  -- Null where nothing was ever allocated.
  buyer_id uuid,
  expires_at timestamptz,
  -- The order's ticket, and when it was decided: under the locks of its SKUs, so that decisions about one SKU are in order.
  arrival bigint,
  decided_at timestamptz not null default clock_timestamp(),
  check (state not in ('HELD', 'SOLD') or (buyer_id is not null and expires_at is not null)),
  check (kind = 'ORDER' or state in ('HELD', 'EXPIRED', 'ATTACHED', 'RELEASED'))
);
create index allocation_by_expiry on allocation (expires_at) where state = 'HELD';

-- The units of one SKU at one location that an order, or a buyer before there is one, was given; whether they are held, sold or given back is the
-- allocation's state. Units of several locations are one hold with several rows. They are written with their allocation
-- and never apart from it; a foreign key would lock that row once more for each of them.
create table hold (
  allocation_id uuid not null,
  hold_id uuid not null,
  location text collate "C" not null,
  sku text collate "C" not null,
  units int not null check (units >= 1),
  returned_units int not null default 0 check (returned_units between 0 and units),
  -- Whether the units count in buyer_take: only those taken while the SKU had a limit do.
  limited boolean not null,
  -- Whether it names its units.
  named boolean not null,
  -- Whether its order brought it, and did not take it from the shelf.
  brought boolean not null default false,
  primary key (allocation_id, hold_id, location)
);
-- Who was granted units of a SKU: the report about its fairness.
create index hold_of_sku on hold (sku);

-- What orders were refused as sold out, and how much of it was left then.
create table refused_wish (
  sku text collate "C" not null,
  order_id uuid not null,
  units int not null,
  available bigint not null,
  primary key (sku, order_id)
);

-- What each buyer has of a SKU that has a limit per buyer. By SKU first: whether anybody took anything under a limit is
-- asked before the limit is changed.
create table buyer_take (
  sku text collate "C" not null,
  buyer_id uuid not null,
  units bigint not null check (units >= 0),
  primary key (sku, buyer_id)
) with (fillfactor = 80);

-- Goods that came in. A purchase order's number counts once per SKU, however often it is delivered.
create table receipt (
  receipt_id uuid primary key,
  receipt_number text,
  sku text collate "C" not null,
  units int not null check (units >= 1),
  location text collate "C" not null references location,
  -- Whether somebody looks at them first; until then none of them is for sale.
  inspect boolean not null,
  received_by uuid not null,
  received_at timestamptz not null default clock_timestamp(),
  unique (receipt_number, sku)
);

-- What was found when a receipt was looked at, once. What is neither accepted nor damaged was not in the box.
create table inspection (
  receipt_id uuid primary key references receipt,
  accepted int not null check (accepted >= 0),
  damaged int not null check (damaged >= 0),
  note text,
  inspected_by uuid not null,
  inspected_at timestamptz not null default clock_timestamp()
);

-- What people changed by hand, and why. The reason says which of stock's columns it changed (src/adjustment.ts).
create table adjustment (
  adjustment_id uuid primary key,
  sku text collate "C" not null,
  location text collate "C" not null references location,
  units int not null check (units <> 0),
  reason text not null,
  note text,
  adjusted_by uuid not null,
  adjusted_at timestamptz not null default clock_timestamp()
);

-- Goods sent from one location to another, and what of them arrived, once. What did not is lost.
create table transfer (
  transfer_id uuid primary key,
  sku text collate "C" not null,
  from_location text collate "C" not null references location,
  to_location text collate "C" not null references location,
  units int not null check (units >= 1),
  note text,
  sent_by uuid not null,
  sent_at timestamptz not null default clock_timestamp(),
  check (from_location <> to_location)
);
create table transfer_arrival (
  transfer_id uuid primary key references transfer,
  units int not null check (units >= 0),
  note text,
  received_by uuid not null,
  received_at timestamptz not null default clock_timestamp()
);

-- Returns that were put away, each once.
create table restock (
  return_id uuid primary key,
  order_id uuid not null references allocation,
  restocked_at timestamptz not null default clock_timestamp()
);

-- The ledger: every unit that ever moved, and where. Per SKU the deltas add up to the columns of stock, per SKU and location
-- to those of stock_at, and per hold to what its allocation says of it. It is only ever added to, and read whole: no line is
-- asked for by a key, so it has none. The index would have cost each line a third of its price.
create table movement (
  position bigint generated always as identity,
  sku text collate "C" not null,
  location text collate "C" not null,
  kind text not null check (kind in ('RECEIVED', 'HELD', 'SOLD', 'RELEASED', 'EXPIRED', 'UNSOLD', 'RETURNED',
    'RETURNED_ASIDE', 'WRITTEN_OFF', 'REFUSED', 'ADDED', 'REMOVED', 'SET_ASIDE', 'CLEARED', 'DISPOSED', 'SENT', 'EXPECTED', 'ARRIVED', 'MISSED')),
  received_delta int not null,
  held_delta int not null,
  sold_delta int not null,
  quarantined_delta int not null,
  in_transit_delta int not null,
  -- The unit's name, where it has one; then the line is about it alone.
  unit text collate "C",
  order_id uuid,
  hold_id uuid,
  -- The receipt, the return, the adjustment or the transfer that moved it, where it was one of these.
  document_id uuid,
  moved_at timestamptz not null default clock_timestamp()
);

do $do$
begin
  execute format('revoke update, delete, truncate on movement, receipt, inspection, adjustment, transfer, transfer_arrival,
    restock from %I', current_setting('onsale.role'));
end $do$;
