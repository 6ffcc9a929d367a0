-- What a person has of one currency's points, in its minor unit. `held` waits for its orders' end. The checks are the last
-- line: whatever the code above believes, nobody has less than nothing.
create table wallet (
  person_id uuid not null,
  currency text collate "C" not null check (length(currency) = 3),
  available bigint not null default 0 check (available >= 0),
  held bigint not null default 0 check (held >= 0),
  primary key (person_id, currency)
) with (fillfactor = 50);
