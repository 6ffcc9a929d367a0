-- What the tests publish about: a row per key, whose version counts the key's events.
create table account (key text primary key, version bigint not null default 0);
insert into account (key) select 'key-' || number from generate_series(0, 31) as number;
