create table shelf (
  sku text primary key,
  units int not null check (units >= 0),
  note text
);
