-- What a person wants to be told, and where. All that is known here of a person; it goes when the person goes.
create table recipient (
  person_id uuid primary key,
  language text not null,
  email text,
  -- Null: nobody has proved yet that the address is theirs, and nothing but the question goes there.
  email_confirmed_at timestamptz,
  -- Of the code that was sent to the address: its hash, its end, and the wrong ones that were given.
  code_hash bytea,
  code_expires_at timestamptz,
  wrong_codes int not null default 0,
  push_token text,
  -- Which channels tell of the person's own orders, and which bring news.
  orders text[] not null check (orders <@ array['mail', 'push']),
  news text[] not null check (news <@ array['mail', 'push']),
  changed_at timestamptz not null default clock_timestamp(),
  check (email is not null or (email_confirmed_at is null and code_hash is null))
);
create index recipient_news on recipient (person_id) where news <> '{}';

-- When an address was last asked whose it is, whoever had it asked: nobody's mailbox is filled by strangers.
create table asked_address (
  address_hash bytea primary key,
  asked_at timestamptz not null
);
create index asked_address_by_age on asked_address (asked_at);

-- People who were erased not long ago: an access token of theirs may live on, and must not make them known again. A bare id.
create table erased_person (
  person_id uuid primary key,
  erased_at timestamptz not null default clock_timestamp()
);
create index erased_person_by_age on erased_person (erased_at);
