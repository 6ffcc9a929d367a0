create table till (
  name text primary key,
  cents int not null
);
create table receipt (
  order_id text primary key,
  cents int not null
);
