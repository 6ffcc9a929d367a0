-- What the plain order transaction writes: the least that a shop with an outbox could do, and no more.
create table stock (sku int primary key, available bigint not null check (available >= 0)) with (fillfactor = 50);
insert into stock select sku, 1000000000 from generate_series(1, 1000) as sku;
create table orders (
  order_id uuid primary key,
  sku int not null,
  units int not null,
  total_minor bigint not null,
  status text not null,
  placed_at timestamptz not null
);
create table outbox (
  position bigint generated always as identity primary key,
  id uuid not null,
  aggregateid text not null,
  type text not null,
  payload jsonb not null
);
