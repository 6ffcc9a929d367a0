-- What the write-ahead-log reader needs beside the outbox: a publication per lane, and a place in the log per cursor.
do $do$
declare lane text;
begin
  -- Rows come under the outbox's own name, whichever partition they lie in; and nothing but rows, so that emptying a
  -- partition is no event.
  foreach lane in array array['online', 'bulk'] loop
    execute format('create publication %I for table outbox_%s with (publish = ''insert'', publish_via_partition_root = true)',
      'onsale_' || current_schema() || '_' || lane, lane);
  end loop;
end $do$;

alter table reader_cursor
  -- Also read: every transaction whose commit lies before this place in the log. Null while the table is read.
  add column wal_lsn pg_lsn,
  -- Of which server, timeline and publication the place speaks; of another one it says nothing.
  add column wal_origin text,
  -- The timeline that the cursor was last read on; another one is a promoted standby, or a backup restored to a moment.
  add column timeline int;

-- From the name of the log's file: the control file lags behind a promotion.
create function reader_timeline() returns int language sql volatile
as $$ select ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int $$;
