-- Where a reader stands in a topic of Kafka, beside the epoch that guards its row: of a consumer what it reads next, of a
-- relay how far it has written. {"cluster": id, "topic": id, "at": {"partition": {"offset": n, "epoch": leader's epoch}}}
alter table reader_cursor add column kafka jsonb;

-- The topics of this service's outbox, as they were made: names alone do not tell a topic from another that was made in
-- its place, and a changed number of partitions would move keys.
create table kafka_topic (
  lane text primary key check (lane in ('online', 'bulk')),
  name text not null,
  cluster_id text not null,
  topic_id text not null,
  partitions int not null check (partitions > 0),
  made_at timestamptz not null default clock_timestamp()
);

-- Now and then a relay remembers how far it had read its outbox when its topic ended where. When a broker has lost the
-- end of a topic, what it lost is written again from the youngest of these that the topic still reaches to.
create table kafka_checkpoint (
  lane text not null check (lane in ('online', 'bulk')),
  slot int not null,
  taken_at timestamptz not null default clock_timestamp(),
  outbox_cursor jsonb not null,
  kafka jsonb not null,
  primary key (lane, slot, taken_at)
);
