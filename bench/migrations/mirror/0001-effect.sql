-- What a consumer does with an event, in the transaction of its progress.
create table effect (order_id uuid primary key, applied_at timestamptz not null);
