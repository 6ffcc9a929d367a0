-- A lane of a source may be divided into slots by key; each has a cursor and a lease of its own.
alter table reader_cursor
  add column slot int not null default 0 check (slot >= 0),
  -- Into how many slots the lane was divided when this cursor began: with another number its keys would move.
  add column slots int not null default 1 check (slots > 0),
  -- Take-overs from owners that ended without a word, since the cursor was last moved. An attempt that is started counts:
  -- a poison event ends the process before anybody can count it as failed.
  add column unclean_takes int not null default 0,
  alter column system_identifier drop not null;
alter table reader_cursor drop constraint reader_cursor_pkey;
alter table reader_cursor add primary key (reader, source, lane, slot);

-- The slot of a key, of `slots`. The same in every process and language (CRC-32 of the key's UTF-8 bytes).
create function slot_of(key text, slots int) returns int language sql immutable strict parallel safe
as $$ select (crc32(convert_to(key, 'UTF8')) % slots)::int $$;
