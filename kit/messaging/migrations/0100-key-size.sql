-- A key that no index takes would stop whoever reads it. Rows that are there already are not looked at.
alter table outbox_online add constraint outbox_online_key check (octet_length(aggregateid) <= 1024) not valid;
alter table outbox_bulk add constraint outbox_bulk_key check (octet_length(aggregateid) <= 1024) not valid;
