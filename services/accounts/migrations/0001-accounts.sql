create table accounts.account (
  account_id uuid primary key,
  -- In lower case: two spellings of one address are one account.
  email text not null unique,
  -- Argon2id in PHC form: its parameters and salt are in it.
  password_hash text not null,
  name text not null,
  role text not null check (role in ('customer', 'operator')),
  -- Counts the events told about the account.
  version integer not null default 1,
  created_at timestamptz not null default now()
);

-- What begins with a log-in: the family of refresh tokens of which each replaced the one before.
create table accounts.session (
  session_id uuid primary key,
  account_id uuid not null references accounts.account,
  created_at timestamptz not null default now(),
  -- Logged out, or ended because a token came a second time.
  ended_at timestamptz
);
create index session_by_account on accounts.session (account_id);

create table accounts.refresh_token (
  -- SHA-256 of the token: who reads this table can't log in with it. The token has 256 random bits, so it needs no salt.
  token_hash bytea primary key,
  session_id uuid not null references accounts.session on delete cascade,
  issued_at timestamptz not null default now(),
  expires_at timestamptz not null,
  used_at timestamptz
);
create index refresh_token_by_session on accounts.refresh_token (session_id);
create index refresh_token_by_expiry on accounts.refresh_token (expires_at);
