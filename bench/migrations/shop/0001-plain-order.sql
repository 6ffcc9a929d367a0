-- What a business transaction writes beside its event.
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
