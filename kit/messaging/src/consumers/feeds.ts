import { randomUUID } from "node:crypto";
import type { Database } from "@onsale/postgres";
import { type EventDefinition, type Lane, lanesOf } from "../events/event.ts";
import type { Log } from "../log.ts";
import { ring } from "../outbox/doorbell.ts";
import { OutboxLog } from "../outbox/outbox-log.ts";
import { type MessagingTelemetry, silentTelemetry } from "../telemetry.ts";
import { BatchFeed } from "./batch-feed.ts";
import { CallPlaces } from "./call-places.ts";
import type { BasePorts, Consumer } from "./consumer.ts";
import { EachFeed } from "./each-feed.ts";
import { type Feed, pause } from "./feed.ts";
import { LaneGate } from "./lane-gate.ts";
import { defaultRetry, type RetryRule } from "./parking.ts";
import { watermarkOf } from "./progress.ts";

/** How far a service has heard what other services tell. */
export interface Feeds {
  /**
   * Waits until everything that `source` committed before `moment` (RFC 3339, database time) has been applied here, at
   * most `withinMs` milliseconds. False when it took longer. So a reader can see its own write through another service.
   */
  passed(source: string, moment: string, withinMs: number): Promise<boolean>;
}

export interface FeedsOptions<Ports extends BasePorts> {
  /** The service whose consumers these are: the reader's name of its batch consumers. */
  readonly service: string;
  /** The service's own database; better not the one that its HTTP requests use, so that neither waits for the other. */
  readonly database: Database;
  readonly consumers: readonly Consumer<Ports>[];
  readonly ports: Ports;
  /** The service that owns a type of event, which is the schema of its outbox. */
  readonly sourceOf: (definition: EventDefinition) => string;
  readonly telemetry?: MessagingTelemetry;
  readonly retry?: RetryRule;
  /** Where events are read from. Default: the outboxes of the database itself. */
  readonly log?: Log;
  /** Lets online batches go before bulk ones: one for all services of a process. Default: one of this service's own. */
  readonly gate?: LaneGate;
  readonly leaseMs?: number;
}

export interface RunningFeeds extends Feeds {
  /**
   * Finishes what is under way, gives the leases back, and ends. What is not finished within `withinMs` milliseconds is left
   * to whoever takes the lease when it has run out, and its calls outside are told to give up; false then.
   */
  drain(withinMs?: number): Promise<boolean>;
}

/** A batch takes tens of milliseconds and a call seconds; what takes longer is stuck, and is repeated elsewhere. */
const drainMs = 10_000;

/** Milliseconds between looks at what other processes have saved; an idle stream is saved once a second. */
const lookElsewhereMs = 100;

const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));

/** Runs a service's consumers over the outboxes of their sources, until drained. */
export function startFeeds<Ports extends BasePorts>(options: FeedsOptions<Ports>): RunningFeeds {
  const stop = new AbortController();
  const abandon = new AbortController();
  const feeds = feedsOf(options);
  const runs = Promise.all(feeds.map((feed) => feed.run(stop.signal, abandon.signal)));
  return {
    passed: (source, moment, withinMs) => passed(options, feeds, { source, moment, withinMs }),
    async drain(withinMs = drainMs) {
      stop.abort();
      const over = AbortSignal.timeout(withinMs);
      const isDone = await Promise.race([runs.then(() => true), aborted(over).then(() => false)]);
      abandon.abort(over.reason);
      return isDone;
    },
  };
}

function feedsOf<Ports extends BasePorts>(options: FeedsOptions<Ports>): Feed[] {
  const {
    service,
    database,
    consumers,
    ports,
    sourceOf,
    telemetry = silentTelemetry,
    retry = defaultRetry,
    log = new OutboxLog({ database }),
    gate = new LaneGate(),
    leaseMs = 3_000,
  } = options;
  const owner = `${service}/${process.pid}/${randomUUID()}`;
  const feedOptions = (reader: string, source: string, lane: Lane, slot: number, ownRetry: RetryRule | undefined) => ({
    name: { reader, source, lane, slot },
    database,
    log,
    owner,
    telemetry,
    gate,
    retry: ownRetry ?? retry,
    leaseMs,
  });
  const batch = consumers.filter((consumer) => consumer.kind === "batch");
  const each = consumers.filter((consumer) => consumer.kind === "each");
  return [
    ...sourcesOf(batch, sourceOf).flatMap((source) => {
      const own = batch
        .map((consumer) => onlyFrom(consumer, source, sourceOf))
        .filter((consumer) => consumer.on.length > 0);
      return streamsOf(own, log.slots(source)).map(
        ({ lane, slot }) => new BatchFeed(feedOptions(service, source, lane, slot, undefined), own, ports),
      );
    }),
    ...each.flatMap((consumer) => {
      const places = new CallPlaces(consumer.concurrency);
      return sourcesOf([consumer], sourceOf).flatMap((source) => {
        const own = onlyFrom(consumer, source, sourceOf);
        return streamsOf([own], log.slots(source)).map(({ lane, slot }) => {
          const feed = feedOptions(consumer.name, source, lane, slot, consumer.retry);
          return new EachFeed(feed, own, places, ports);
        });
      });
    }),
  ];
}

type SourceOf = (definition: EventDefinition) => string;
type Listening = { readonly on: readonly EventDefinition[] };

const sourcesOf = (consumers: readonly Listening[], sourceOf: SourceOf): string[] => [
  ...new Set(consumers.flatMap(({ on }) => on).map(sourceOf)),
];

const onlyFrom = <C extends Listening>(consumer: C, source: string, sourceOf: SourceOf): C => ({
  ...consumer,
  on: consumer.on.filter((definition) => sourceOf(definition) === source),
});

const streamsOf = (consumers: readonly Listening[], slots: number) =>
  lanesOf(consumers.flatMap(({ on }) => on)).flatMap((lane) =>
    Array.from({ length: slots }, (_, slot) => ({ lane, slot })),
  );

async function passed<Ports extends BasePorts>(
  { service, database }: FeedsOptions<Ports>,
  feeds: readonly Feed[],
  { source, moment, withinMs }: { source: string; moment: string; withinMs: number },
): Promise<boolean> {
  const own = feeds.filter(({ name }) => name.reader === service && name.source === source);
  if (own.length === 0) throw new Error(`${service} does not listen to ${source}.`);
  // A moment in milliseconds may have been cut by almost one; only a later millisecond is surely behind it.
  if (own.every((feed) => feed.watermark > moment)) return true;
  ring({ database: database.home.database, schema: source });
  const over = new AbortController();
  const isHeard = Promise.withResolvers<void>();
  const look = (): void => {
    if (own.every((feed) => feed.watermark > moment)) isHeard.resolve();
  };
  const listeners = own.map((feed) => feed.onAdvance(look));
  const savedSince = async (): Promise<boolean> =>
    ((await watermarkOf(database, service, source).catch(() => undefined)) ?? "") > moment;
  try {
    look();
    return await Promise.race([
      isHeard.promise.then(() => true),
      saidElsewhere(own, savedSince, over.signal),
      pause(withinMs, over.signal).then(() => !over.signal.aborted && savedSince()),
    ]);
  } finally {
    over.abort();
    for (const stopListening of listeners) stopListening();
  }
}

/** Another process may own some of the streams: what it has applied is in the database. Says nothing while all are owned here. */
async function saidElsewhere(
  own: readonly Feed[],
  savedSince: () => Promise<boolean>,
  over: AbortSignal,
): Promise<boolean> {
  while (!over.aborted) {
    await pause(lookElsewhereMs, over);
    if (!over.aborted && own.some(({ isOwned }) => !isOwned) && (await savedSince())) return true;
  }
  return false;
}
