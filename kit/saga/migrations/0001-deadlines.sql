-- What a saga waits for, one row per wait. A row fires when the database's clock has passed `due_at` and everything that
-- `awaits` committed before then has been applied here; where `awaits` is empty, the clock alone counts.
create table saga_deadline (
  saga text not null,
  key text not null,
  wait text not null,
  awaits text not null,
  due_at timestamptz not null,
  primary key (saga, key, wait)
) with (fillfactor = 80);
-- By source first: a source that is not heard holds back its own rows only, and they are not looked at meanwhile.
create index saga_deadline_due on saga_deadline (saga, awaits, due_at);

-- What a person has to look at, because the program has done all that it may.
create table person_task (
  task_id uuid primary key,
  kind text not null,
  key text not null,
  what text not null,
  -- The event that could not be taken, where it is about one.
  event_id text,
  opened_at timestamptz not null default clock_timestamp(),
  closed_at timestamptz,
  closed_by text,
  outcome text,
  check ((closed_at is null) = (closed_by is null)),
  check ((closed_at is null) = (outcome is null))
);
-- At most one open task of a kind for a key: being called twice is one call.
create unique index person_task_open on person_task (kind, key) where closed_at is null;
-- What is open about one thing, whatever the kind.
create index person_task_of_key on person_task (key, task_id) where closed_at is null;
create index person_task_waiting on person_task (task_id) where closed_at is null;
-- Whether somebody was called for an event that could not be taken.
create index person_task_of_event on person_task (event_id, opened_at) where event_id is not null;
