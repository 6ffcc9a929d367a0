import { createHash } from "node:crypto";
import {
  type BasePorts,
  type BatchConsumer,
  type Cause,
  type Consumer,
  claimFresh,
  type DataOf,
  type Delivered,
  type EachConsumer,
  type EventDefinition,
  type Lane,
  type Settled,
} from "@onsale/messaging";
import { type Database, databaseNow } from "@onsale/postgres";

export interface EventOptions {
  /** Default 1: the key's first event. */
  readonly sequence?: number;
  readonly lane?: Lane;
  /** The service that published it. Default "test". */
  readonly source?: string;
  readonly time?: string;
  readonly cause?: Cause;
}

/**
 * An event as a consumer gets it: the type's sample with `data` over it. Its id follows from type, key and sequence, so
 * making it twice makes the same event.
 */
export function eventOf<Definition extends EventDefinition>(
  definition: Definition,
  data: Partial<DataOf<Definition>> = {},
  { sequence = 1, lane = "online", source = "test", time = "2026-11-21T08:00:00.000Z", cause }: EventOptions = {},
): Delivered<Definition> {
  const whole = { ...(definition.sample as object), ...data } as Record<string, unknown>;
  if (!definition.validator.Check(whole)) {
    throw new TypeError(`This is no ${definition.type}: ${JSON.stringify(definition.validator.Errors(whole))}`);
  }
  const key = String(whole[definition.key]);
  return {
    id: uuidFrom(`${definition.type} ${key} ${sequence}`),
    type: definition.type,
    source,
    incarnation: uuidFrom(source),
    key,
    sequence,
    lane,
    time,
    cause: cause ?? { correlationId: uuidFrom(key) },
    data: whole,
  } as Delivered<Definition>;
}

function uuidFrom(text: string): string {
  const hex = createHash("sha256").update(text).digest("hex");
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}

/**
 * Delivers events to one consumer as its feed does when all goes well, the inbox included, so that a second delivery of
 * the same events has no effect. The clock that the consumer is given is the database's.
 */
export async function deliver<Ports extends BasePorts>(
  database: Database,
  consumer: Consumer<Ports>,
  events: readonly Delivered[],
  ports: Omit<Ports, "clock">,
): Promise<void> {
  if (consumer.kind === "batch") await deliverBatch(database, consumer, events, ports);
  else await deliverEach(database, consumer, events, ports);
}

async function deliverBatch<Ports extends BasePorts>(
  database: Database,
  consumer: BatchConsumer<Ports>,
  events: readonly Delivered[],
  ports: Omit<Ports, "clock">,
): Promise<void> {
  // All batch consumers of a service read as one.
  const [service = ""] = consumer.name.split(".");
  await database.transaction(async (tx) => {
    const now = await databaseNow(tx);
    const fresh = await claimFresh(tx, service, events);
    if (fresh.length > 0) await consumer.do(tx, fresh, at(now, ports));
  });
}

async function deliverEach<Ports extends BasePorts>(
  database: Database,
  consumer: EachConsumer<Ports>,
  events: readonly Delivered[],
  ports: Omit<Ports, "clock">,
): Promise<void> {
  const prepare = () =>
    database.transaction(async (tx) => consumer.prepare(tx, events, at<Ports>(await databaseNow(tx), ports)));
  const byId = new Map(events.map((event) => [event.id, event]));
  const settled: Settled<unknown, unknown>[] = [];
  for (const { eventId, work } of await prepare()) {
    const event = byId.get(eventId);
    if (event === undefined)
      throw new Error(`${consumer.name} prepared work for an event that it was not given: ${eventId}`);
    const now = await databaseNow(database);
    const outcome = await consumer.call(work, at(now, ports), new AbortController().signal);
    settled.push({ event, work, outcome });
  }
  await database.transaction(async (tx) => {
    const now = await databaseNow(tx);
    await claimFresh(tx, consumer.name, events);
    if (settled.length > 0) await consumer.settle(tx, settled, at(now, ports));
  });
}

const at = <Ports extends BasePorts>(now: string, ports: Omit<Ports, "clock">): Ports =>
  ({ ...ports, clock: { now: () => now } }) as unknown as Ports;
