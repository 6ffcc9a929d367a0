-- A reader that is gone for good is taken off the outbox, by a person: nothing is kept for it from then on.
do $do$
begin
  execute format($f$
    create function outbox_forget_reader(in_reader text, in_lane text) returns void
    language sql volatile security definer as $$
      delete from %1$I.outbox_reader where reader = in_reader and lane = in_lane
    $$ $f$, current_schema());
end $do$;
