-- A process that has fewer leases of a lane than another asks for one of them: its owner finishes what is under way and gives
-- it back, and until the wish runs out nobody but the asker may take it.
alter table reader_cursor
  add column wanted_by text,
  add column wanted_until timestamptz;
