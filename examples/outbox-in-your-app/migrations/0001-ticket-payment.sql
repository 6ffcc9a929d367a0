create table ticket_payment (
  payment_id text primary key,
  concert text not null,
  seats int not null check (seats > 0),
  amount_minor bigint not null check (amount_minor > 0),
  completed_at timestamptz not null default now()
);
