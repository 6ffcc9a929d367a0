-- Points are minor units of a currency. What a person has of one currency is a balance; what the balance is made of are
-- lots; how both came about is the ledger.

-- People who have an account, as accounts told. A guest has no wallet.
create table holder (
  person_id uuid primary key,
  -- Customers earn points; an operator's account does not, though orders of a channel may be in its name.
  earns boolean not null
);

-- The row that everybody locks who changes anything about a person's points of one currency. It is a projection of the
-- ledger, and the checks are the last line: whatever the code above believes, nobody has less than nothing, and nobody has
-- points who owes some.
create table balance (
  person_id uuid not null,
  currency text collate "C" not null check (length(currency) = 3),
  available_minor bigint not null default 0 check (available_minor >= 0),
  -- Set aside for orders that have not ended.
  held_minor bigint not null default 0 check (held_minor >= 0),
  -- Points that were taken back when they had been spent already. What comes in pays it first.
  debt_minor bigint not null default 0 check (debt_minor >= 0),
  primary key (person_id, currency),
  constraint no_points_beside_debt check (debt_minor = 0 or available_minor = 0)
  -- A balance that many orders take from is rewritten by every batch: room in the page keeps the new row beside the old.
) with (fillfactor = 50);

-- Available points by where they came from and when they end. The lots of a balance add up to what is available of it;
-- what is held or spent has left them, and `order_part` remembers which ones it left. The balance's lock guards them.
create table lot (
  -- Follows from what the lot is of, so that what comes again from the same source lies in the same lot.
  lot_id uuid primary key,
  person_id uuid not null,
  currency text collate "C" not null,
  source text not null check (source in ('CREDIT', 'EARNED', 'GRANT', 'VOUCHER')),
  -- Who pays for the points when they are used, with shares in hundredths of a percent that add up to the whole.
  bearers jsonb not null,
  remaining_minor bigint not null check (remaining_minor >= 0),
  -- Null where the points never end.
  expires_at timestamptz,
  -- A column of its own, so that taking a part of a lot changes nothing that an index holds.
  is_open boolean not null generated always as (remaining_minor > 0) stored
) with (fillfactor = 70);
create index lot_open on lot (person_id, currency, expires_at, lot_id) where is_open;
create index lot_by_expiry on lot (expires_at) where is_open and expires_at is not null;

-- The ledger: every movement of points, one row each. It names all the accounts that it touches, the person's three, the
-- vouchers' and one of the shop's, and sums to zero over them. `debt_minor` counts what the person owes, so it goes in with
-- the other sign.
create table entry (
  position bigint generated always as identity,
  kind text not null,
  -- Null where a voucher moved that belongs to nobody yet.
  person_id uuid,
  currency text collate "C" not null,
  available_minor bigint not null,
  held_minor bigint not null,
  debt_minor bigint not null,
  voucher_minor bigint not null,
  shop_account text check (shop_account in ('issued', 'revenue', 'expired')),
  shop_minor bigint not null,
  order_id uuid,
  -- The credit, the voucher batch, the return or the lot that it is about, where it is one of these.
  document_id uuid,
  at timestamptz not null default clock_timestamp(),
  constraint sums_to_zero check (available_minor + held_minor - debt_minor + voucher_minor + shop_minor = 0),
  check ((shop_account is null) = (shop_minor = 0)),
  check (person_id is not null or (available_minor = 0 and held_minor = 0 and debt_minor = 0))
);
-- No key on the position alone: nobody looks for it, and every order writes here.
create index entry_of_person on entry (person_id, position);

-- What became of the points of each order that wants some; the key row of the points.* events.
--   HELD      they are set aside
--   REFUSED   there were not enough, or the order ended before it could have any
--   SPENT     they are the shop's, less what returns gave back
--   RELEASED  none of them is taken any more
create table order_points (
  order_id uuid primary key,
  person_id uuid not null,
  currency text collate "C" not null,
  amount_minor bigint not null check (amount_minor >= 0),
  state text not null check (state in ('HELD', 'REFUSED', 'SPENT', 'RELEASED')),
  -- Counts the points.* events of this order.
  version int not null
) with (fillfactor = 70);

-- Which lots an order's points came from, in the order in which they were taken, and what went back to each.
create table order_part (
  order_id uuid not null,
  number int not null,
  lot_id uuid not null,
  amount_minor bigint not null check (amount_minor > 0),
  given_back_minor bigint not null default 0 check (given_back_minor between 0 and amount_minor),
  primary key (order_id, number)
);

-- What an order earned by the money that was paid for it, and what of it was taken back because money was.
create table earning (
  order_id uuid primary key,
  person_id uuid not null,
  currency text collate "C" not null,
  lot_id uuid not null,
  paid_minor bigint not null check (paid_minor >= 0),
  -- The rate at that time, in hundredths of a percent.
  basis_points int not null check (basis_points > 0),
  earned_minor bigint not null check (earned_minor > 0),
  refunded_minor bigint not null default 0 check (refunded_minor between 0 and paid_minor),
  taken_back_minor bigint not null default 0 check (taken_back_minor between 0 and earned_minor)
);

-- Returns that were dealt with, each once.
create table order_return (
  return_id uuid primary key,
  order_id uuid not null,
  given_back_minor bigint not null check (given_back_minor >= 0),
  at timestamptz not null default clock_timestamp()
);

-- Points that an operator gave, and why.
create table credit (
  credit_id uuid primary key,
  person_id uuid not null,
  currency text collate "C" not null,
  amount_minor bigint not null check (amount_minor > 0),
  reason text not null,
  credited_by uuid not null,
  at timestamptz not null default clock_timestamp()
);
create index credit_of_person on credit (person_id, credit_id);

-- What the shop gives to everybody who asks for it, once a day.
create table daily_grant (
  name text collate "C" primary key,
  currency text collate "C" not null check (length(currency) = 3),
  amount_minor bigint not null check (amount_minor > 0),
  -- In which a day begins and ends.
  time_zone text not null,
  valid_days int not null check (valid_days >= 1),
  is_open boolean not null,
  set_by uuid not null,
  set_at timestamptz not null default clock_timestamp()
);

-- Once per person, grant and day: whoever is second waits here for the first, and gets nothing.
create table daily_claim (
  person_id uuid not null,
  name text collate "C" not null,
  day date not null,
  currency text collate "C" not null,
  amount_minor bigint not null check (amount_minor > 0),
  at timestamptz not null default clock_timestamp(),
  primary key (person_id, name, day)
);

-- Vouchers that were issued together.
create table voucher_batch (
  batch_id uuid primary key,
  currency text collate "C" not null check (length(currency) = 3),
  -- What each of them is worth.
  face_minor bigint not null check (face_minor > 0),
  voucher_count int not null check (voucher_count > 0),
  bearers jsonb not null,
  reason text not null,
  expires_at timestamptz,
  issued_by uuid not null,
  issued_at timestamptz not null default clock_timestamp(),
  voided_by uuid,
  voided_at timestamptz,
  check ((voided_by is null) = (voided_at is null))
);

-- A voucher is known by its code, and its code to nobody but its owner: this is the SHA-256 of it.
create table voucher (
  code_hash bytea primary key,
  batch_id uuid not null references voucher_batch,
  currency text collate "C" not null,
  remaining_minor bigint not null check (remaining_minor >= 0),
  expires_at timestamptz,
  is_open boolean not null generated always as (remaining_minor > 0) stored
);
create index voucher_of_batch on voucher (batch_id);
create index voucher_by_expiry on voucher (expires_at) where is_open and expires_at is not null;

do $do$
begin
  execute format('revoke update, delete, truncate on entry, order_return, credit, daily_claim from %I',
    current_setting('onsale.role'));
end $do$;
