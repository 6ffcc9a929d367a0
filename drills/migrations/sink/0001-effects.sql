-- What the consumers did, in the order in which they did it. Nothing here is unique but the row itself: an effect that
-- happens twice must show, not be refused.
create table effect (
  id bigint generated always as identity primary key,
  consumer text not null,
  round int not null,
  key text not null,
  token uuid not null,
  process int not null,
  applied_at timestamptz not null default clock_timestamp()
);
create index effect_by_round on effect (round, consumer);

-- Deadlines that fired. They wait for the first change of a key and come due after it was committed, so none may.
create table fired (round int not null, key text not null, fired_at timestamptz not null default clock_timestamp());
create index fired_by_round on fired (round);
