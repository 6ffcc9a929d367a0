-- What was answered to a request under an Idempotency-Key, written in the transaction of the request's effect: where
-- the record is, the effect is, and where it is not, nothing happened.
create table idempotency_record (
  person_id uuid not null,
  key text not null check (length(key) between 1 and 255),
  -- Base64 of SHA-256 over method, address and body.
  fingerprint text not null,
  -- Null only inside the transaction that is still working.
  status integer,
  -- JSON as it was answered; text, because nothing ever looks into it.
  body text,
  created_at timestamptz not null default now(),
  primary key (person_id, key)
);
-- For the job that removes what is older than a day.
create index idempotency_record_by_age on idempotency_record (created_at);
