-- What the flood's subscriber did, once per sale. Nothing is unique here: an effect that happens twice must show.
create table heard (id text not null, heard_at timestamptz not null default clock_timestamp());
