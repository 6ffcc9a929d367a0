create table pool (
  name text primary key,
  coupons int not null,
  version int not null default 1
);

create table claim (
  id bigint generated always as identity primary key,
  pool text not null references pool,
  buyer text not null
);
create index on claim (pool);

-- The newest fencing token seen, by lock.
create table lock_fence (
  name text primary key,
  token bigint not null
);
