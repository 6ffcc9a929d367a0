-- What the plain order transaction writes its event to: the least that a shop with an outbox could do, and no more.
create table outbox (
  position bigint generated always as identity primary key,
  id uuid not null,
  aggregateid text not null,
  type text not null,
  payload jsonb not null
);
