\set sku random(1, :skus)
begin;
update stock set available = available - 1 where sku = :sku and available >= 1;
insert into orders (order_id, sku, units, total_minor, status, placed_at) values (gen_random_uuid(), :sku, 1, 1530, 'CONFIRMED', now());
insert into outbox (id, aggregateid, type, payload) values (gen_random_uuid(), 'order', 'order.placed', '{"sku": "10001", "units": 1, "totalMinor": 1530}');
commit;
