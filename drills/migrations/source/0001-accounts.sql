-- A row per key: whoever changes it holds its lock, and its version counts the key's changes.
create table account (key text primary key, version bigint not null default 0) with (fillfactor = 50);

-- What was committed, written in the transaction of the change: the truth that effects are compared with. The token names
-- one attempt at a change, so that an effect of an attempt that was rolled back can be told from one that was not.
create table ledger (
  token uuid primary key,
  round int not null,
  key text not null,
  version bigint not null,
  lane text not null,
  written_at timestamptz not null default clock_timestamp()
);
create index ledger_by_round on ledger (round);
