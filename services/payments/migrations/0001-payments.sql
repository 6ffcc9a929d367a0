-- One card payment per order: the key row of the payment.* events, locked by whoever changes anything about the payment.
--   AUTHORISING      the provider is asked to set the amount aside
--   AUTHORISED       it is set aside
--   DECLINED         the provider refused, for certain
--   CAPTURING        the provider is asked to charge what it set aside
--   CAPTURED         charged; returns are refunded from here
--   CAPTURE_REFUSED  the provider will not charge, for certain
--   WITHDRAWN        to be given back; the first answer to that is still awaited
--   REVERSING        to be given back, and not known yet to be; the order was told so
--   REVERSED         nothing of the order's money is with us, for certain
create table payment (
  order_id uuid primary key,
  payment_id uuid not null,
  -- Null where an order was withdrawn that was never payable.
  buyer_id uuid,
  amount_minor bigint not null check (amount_minor >= 0),
  currency text not null check (length(currency) = 3),
  status text not null check (status in
    ('AUTHORISING', 'AUTHORISED', 'DECLINED', 'CAPTURING', 'CAPTURED', 'CAPTURE_REFUSED', 'WITHDRAWN', 'REVERSING', 'REVERSED')),
  -- Counts the payment.* events of this order.
  version int not null check (version >= 0),
  -- Whom its questions go to: for ever, once something may have left for it. Null where nothing was to be asked.
  provider text collate "C",
  -- The provider's name for the payment, once known.
  provider_id text,
  captured_minor bigint not null default 0,
  refunded_minor bigint not null default 0 check (refunded_minor >= 0),
  -- Rows in `refund`.
  return_count int not null default 0,
  -- The question that is open at the provider. It is stored before it is asked, so that whoever asks again asks the same:
  -- its idempotency key is the payment's id, a dot, and `ask_movement`. `ask_count` numbers the questions.
  ask_count int not null default 0,
  ask_movement text,
  ask_minor bigint check (ask_minor > 0),
  ask_return_id uuid,
  asked_at timestamptz,
  -- Whether the payment has a row in `unsettled`.
  is_unsettled boolean not null default false,
  -- The cause of facts that are found out later: what the payment began with, or what led to the question nobody answered.
  cause jsonb not null,
  created_at timestamptz not null default clock_timestamp(),
  check (captured_minor in (0, amount_minor)),
  check (provider is not null or ask_movement is null),
  check (refunded_minor <= captured_minor),
  check ((ask_movement is null) = (ask_minor is null)),
  check ((ask_movement is null) = (asked_at is null)),
  -- The last line against charging a withdrawn order: no capture can be an open question of one.
  check (ask_movement <> 'capture' or status = 'CAPTURING'),
  check (status <> 'REVERSED' or (ask_movement is null and refunded_minor = captured_minor))
  -- Rewritten at each step, with no index on what changes: room in the page keeps the new row beside the old.
) with (fillfactor = 60);

-- Money that moved, for certain: two entries a movement, which sum to zero. What the provider owes us grows by a capture
-- (account provider, positive) as what orders have paid does (account orders, negative); a refund takes both back.
create table ledger_entry (
  order_id uuid not null,
  -- `capture`, or `refund.N`: with the payment's id before it, the key under which the provider moved the money.
  movement text collate "C" not null,
  account text collate "C" not null check (account in ('provider', 'orders')),
  payment_id uuid not null,
  amount_minor bigint not null check (amount_minor <> 0),
  currency text not null,
  at timestamptz not null default clock_timestamp(),
  -- A payment has one movement named `capture`: a second can't be booked.
  primary key (order_id, movement, account)
);
revoke update, delete, truncate on ledger_entry from onsale_payments;

-- What is to be given back for returned goods, one row per return.
create table refund (
  return_id uuid primary key,
  order_id uuid not null,
  amount_minor bigint not null check (amount_minor >= 0),
  state text not null check (state in ('WANTED', 'REFUNDED', 'REFUSED')),
  -- Counts the returns of the order in the order in which they came.
  number int not null,
  wanted_at timestamptz not null default clock_timestamp(),
  ended_at timestamptz
);
create unique index refund_by_order on refund (order_id, number);

-- The open questions that nobody is waiting for any more: the answer was lost, or it led to the next question. A job asks
-- until it is known.
create table unsettled (
  order_id uuid primary key,
  since timestamptz not null default clock_timestamp(),
  tries int not null default 0,
  next_ask_at timestamptz not null,
  -- The provider for which nothing of the question ever left, for certain: another may be asked instead.
  unsent_to text collate "C",
  -- When a person was called, the payment having been unsettled for too long.
  called_at timestamptz
) with (fillfactor = 70);
create index unsettled_by_next_ask on unsettled (next_ask_at);
create index unsettled_unsent on unsettled (unsent_to) where unsent_to is not null;
create index unsettled_by_age on unsettled (since);
create index unsettled_uncalled on unsettled (since) where called_at is null;

-- What did not go straight, for the person who looks into a payment.
create table incident (
  incident_id bigint generated always as identity primary key,
  order_id uuid not null,
  what text not null,
  movement text,
  detail text not null,
  at timestamptz not null default clock_timestamp()
);
create index incident_by_order on incident (order_id, incident_id);
revoke update, delete, truncate on incident from onsale_payments;

-- Card providers by the names that payments are stored with. Down by the anomaly rule: it is probed until it has answered
-- several times in a row.
create table provider (
  name text collate "C" primary key,
  is_down boolean not null default false,
  since timestamptz not null default clock_timestamp(),
  next_probe_at timestamptz,
  answered_probes int not null default 0,
  check (is_down = (next_probe_at is not null))
);

-- Whom new payments go to: one row, locked by whoever decides about providers, so that several processes switch once.
create table provider_choice (
  line text primary key check (line = 'card'),
  active text collate "C" not null references provider,
  since timestamptz not null default clock_timestamp(),
  -- Counts the provider-line.* events.
  version int not null default 0
);

-- Calls that were not answered, as they were counted; the anomaly rule sums the last minute.
create table provider_failure (
  provider text collate "C" not null,
  count int not null check (count > 0),
  at timestamptz not null default clock_timestamp()
);
create index provider_failure_by_time on provider_failure (provider, at);

-- What became of the providers, for the person who looks back.
create table provider_incident (
  incident_id bigint generated always as identity primary key,
  what text not null check (what in ('DOWN', 'SWITCHED', 'RECOVERED')),
  provider text not null,
  why text not null,
  done_by uuid,
  at timestamptz not null default clock_timestamp()
);
revoke update, delete, truncate on provider_incident from onsale_payments;

-- A comparison of our ledger with the providers', begun by an operator. It goes on from its cursor after a crash.
create table reconciliation (
  run_id uuid primary key,
  -- Whether what can be repaired is to be.
  repairs boolean not null,
  -- Payments that began before it are not compared; null: all are.
  since timestamptz,
  started_by uuid not null,
  started_at timestamptz not null default clock_timestamp(),
  -- Whose statement is being read, and from where; null when all have been read.
  provider text collate "C",
  cursor text,
  lines bigint not null default 0,
  -- Up to which order both sides have been compared, and how many.
  compared_to uuid not null default '00000000-0000-0000-0000-000000000000',
  orders bigint not null default 0,
  -- Until then one process works on it.
  leased_until timestamptz not null default clock_timestamp(),
  ended_at timestamptz,
  -- Why it could not be finished.
  failure text,
  -- Whether its lines are still there.
  has_lines boolean not null default true
);
create index reconciliation_by_lease on reconciliation (leased_until) where ended_at is null;
create index reconciliation_with_lines on reconciliation (run_id) where has_lines;
create unique index reconciliation_under_way on reconciliation ((true)) where ended_at is null;

-- What the providers say they did, until the run that read it has ended.
create table statement_line (
  run_id uuid not null,
  provider text collate "C" not null,
  -- Nil where the provider's reference is no order's id.
  order_id uuid not null,
  reference text not null,
  provider_id text collate "C" not null,
  kind text not null check (kind in ('authorise', 'capture', 'void', 'refund')),
  -- Our idempotency key, where the provider tells it.
  key text collate "C",
  amount_minor bigint not null,
  currency text not null
);
create index statement_line_by_order on statement_line (run_id, order_id);

-- Where the ledgers differ. OPEN: seen by the last run. REPAIRED. TASK: given to a person.
create table reconciliation_finding (
  finding_id uuid primary key,
  kind text not null check (kind in ('MISSING', 'DIFFERENT', 'DUPLICATE', 'UNKNOWN')),
  provider text collate "C" not null,
  -- Our key of the movement, or the provider's name for the payment.
  about text collate "C" not null,
  reference text not null,
  provider_id text,
  amount_minor bigint not null,
  currency text not null,
  detail text not null,
  repair text not null check (repair in ('ASK', 'GIVE_BACK', 'PERSON')),
  state text not null default 'OPEN' check (state in ('OPEN', 'REPAIRED', 'TASK')),
  run_id uuid not null,
  found_at timestamptz not null default clock_timestamp(),
  unique (provider, kind, about)
);
create index reconciliation_finding_by_run on reconciliation_finding (run_id);

-- Every webhook event that did something, once: one that told what was known is not here. SETTLES: it answered an open
-- question. REFUSED: it does not fit our payment, and did nothing.
create table webhook_received (
  provider text collate "C" not null,
  -- Unique at its provider only.
  event_id text collate "C" not null,
  order_id text not null,
  result text not null check (result in ('SETTLES', 'REFUSED')),
  refusal text,
  received_at timestamptz not null default clock_timestamp(),
  primary key (provider, event_id),
  check ((result = 'REFUSED') = (refusal is not null))
);
create index webhook_received_by_time on webhook_received (received_at);
