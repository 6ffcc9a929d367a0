-- When the event was told that a key's sequence is of, by its producer, in milliseconds since 1970. What is told again was never told
-- later than that; what was, is no repetition, and must not be ignored for one. Null: nobody knows.
alter table inbox add column told_at bigint;

-- Who compares what was heard with what was told has to know since when the outbox still has everything.
grant select on outbox_partition to onsale_reader;
