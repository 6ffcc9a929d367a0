-- What no reader could understand is refused where it is written, whoever writes it: a sequence beyond what a number holds exactly, or
-- headers that are no object. Rows that are there already are not looked at: a table that is only inserted into may be large.
alter table outbox_online
  add constraint outbox_online_sequence check (sequence between 1 and 9007199254740991) not valid,
  add constraint outbox_online_headers check (json_typeof(headers) = 'object') not valid;
alter table outbox_bulk
  add constraint outbox_bulk_sequence check (sequence between 1 and 9007199254740991) not valid,
  add constraint outbox_bulk_headers check (json_typeof(headers) = 'object') not valid;
