-- What the flood tells of: sales made online, one by one, and sales imported by the million. The truth that what was heard
-- is compared with.
create table sale (id text primary key, made_at timestamptz not null default clock_timestamp());
