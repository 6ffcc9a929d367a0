create table accounts.account (
  account_id uuid primary key,
  -- In lower case: two spellings of one address are one account. In the order of bytes, so that a prefix is a range.
  email text collate "C" unique,
  -- Argon2id in PHC form: its parameters and salt are in it.
  password_hash text,
  name text,
  role text not null check (role in ('customer', 'operator', 'admin')),
  -- Counts the events told about the account.
  version integer not null default 1,
  created_at timestamptz not null default now(),
  -- The person asked to be forgotten: the bare id is left, which orders and ledgers have.
  erased_at timestamptz,
  check (num_nonnulls(email, password_hash, name) = case when erased_at is null then 3 else 0 end),
  check (erased_at is null or role = 'customer')
);
create index account_staff on accounts.account (email) where role <> 'customer';
create index account_admin on accounts.account (account_id) where role = 'admin';

-- Who may do more, and since when: append-only.
create table accounts.role_change (
  position bigint generated always as identity primary key,
  account_id uuid not null references accounts.account,
  role_before text not null,
  role text not null,
  -- The admin who did it; absent where the configuration did.
  changed_by uuid references accounts.account,
  changed_at timestamptz not null default clock_timestamp()
);
create index role_change_by_account on accounts.role_change (account_id, position);

create table accounts.address (
  address_id uuid primary key,
  account_id uuid not null references accounts.account,
  recipient text not null,
  line1 text not null,
  line2 text,
  postal_code text,
  city text not null,
  region text,
  -- ISO 3166-1 alpha-2.
  country text not null check (country ~ '^[A-Z]{2}$'),
  phone text,
  is_default boolean not null,
  created_at timestamptz not null default now()
);
create index address_by_account on accounts.address (account_id, address_id);
create unique index address_default on accounts.address (account_id) where is_default;

-- What begins with a log-in: the family of refresh tokens of which each replaced the one before. It ends by being deleted.
create table accounts.session (
  session_id uuid primary key,
  account_id uuid not null references accounts.account,
  -- What the browser or program called itself at log-in, shortened.
  user_agent text,
  created_at timestamptz not null default now(),
  last_used_at timestamptz not null default now(),
  -- When its newest refresh token ends.
  expires_at timestamptz not null
);
create index session_by_account on accounts.session (account_id, last_used_at);
create index session_by_expiry on accounts.session (expires_at);

-- Read and changed under the lock of the session's row.
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

do $do$
begin
  execute format('revoke update, delete, truncate on accounts.role_change from %I', current_setting('onsale.role'));
end $do$;

-- Wrong passwords of late, by whom and where they were tried. Rows are worth nothing once they are over.
create table accounts.attempt (
  -- Keyed hash of an address, of an account's e-mail address, or of both: who reads this table learns neither.
  counted bytea primary key,
  -- When all tries are free again. Each wrong one moves it on.
  free_at timestamptz not null
);
create index attempt_by_free_at on accounts.attempt (free_at);

-- Where a person has logged in: a keyed hash of the network's address. Strangers elsewhere can't lock these out.
create table accounts.familiar_place (
  account_id uuid not null references accounts.account,
  place bytea not null,
  seen_at timestamptz not null default now(),
  primary key (account_id, place)
);
create index familiar_place_by_seen_at on accounts.familiar_place (seen_at);

-- Who asks for a link to set a new password, addresses that nobody has among them: what becomes of it is decided after the
-- answer, so that asking takes the same time for all.
create table accounts.reset_request (
  email text collate "C" primary key,
  requested_at timestamptz not null default clock_timestamp()
);
create index reset_request_by_time on accounts.reset_request (requested_at);

-- The one link of an account that is good: a newer one takes its place, its use and a changed password remove it. The link
-- itself is not here: it is signed, and made anew for each attempt at its mail.
create table accounts.reset_link (
  account_id uuid primary key references accounts.account,
  reset_id uuid not null unique,
  expires_at timestamptz not null,
  mailed_at timestamptz,
  -- Attempts begun: a crash in the middle of one counts.
  attempts int not null default 0,
  next_attempt_at timestamptz not null default clock_timestamp()
);
create index reset_link_due on accounts.reset_link (next_attempt_at) where mailed_at is null;
create index reset_link_by_expiry on accounts.reset_link (expires_at);
