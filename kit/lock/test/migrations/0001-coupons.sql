create table pool (
  name text primary key,
  coupons int not null,
  version int not null default 1
);
create table lock_fence (
  name text primary key,
  token bigint not null
);
