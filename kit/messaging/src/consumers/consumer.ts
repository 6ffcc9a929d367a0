import type { Transaction } from "@onsale/postgres";
import type { Delivered, EventDefinition } from "../events/event.ts";
import { upcastTo, withEarlierVersions } from "../events/upcast.ts";
import type { RetryRule } from "./parking.ts";

/** What every handler is given besides its own ports. */
export interface BasePorts {
  /** In a consumer: the database's time when the batch was claimed, RFC 3339. The same for the whole batch. */
  readonly clock: { now(): string };
  readonly ids: { uuid(): string };
}

/**
 * Decides a batch in one transaction, which the runtime opened, fenced and will commit together with the consumer's
 * progress. Events come in order per key. A throw rolls everything back; the batch is then split until the culprit
 * stands alone and its key is parked.
 */
export type BatchHandler<Definition extends EventDefinition, Ports extends BasePorts> = (
  tx: Transaction,
  events: readonly Delivered<Definition>[],
  ports: Ports,
) => Promise<void>;

/**
 * Which calls wait for one another. `key` (the default): those of one key. `partition`: all of one stream, so one call at a
 * time and slot; a failing one holds the stream up while it is tried again, and is dead after the last attempt.
 * `unordered`: none, not even those of one key; a failing event holds up nobody.
 */
export type CallOrder = "key" | "partition" | "unordered";

/** A consumer whose effects are all in its own database. */
export interface BatchConsumer<Ports extends BasePorts = BasePorts> {
  readonly kind: "batch";
  /** `service.use-case`, unique: lag, parked keys and dead letters are shown under it. */
  readonly name: string;
  readonly on: readonly EventDefinition[];
  readonly do: BatchHandler<EventDefinition, Ports>;
}

/** What `prepare` found to be done for one event; an event without work is done. */
export interface Prepared<Work> {
  /** The id of the event that it is for. */
  readonly eventId: string;
  readonly work: Work;
}

/**
 * A consumer whose effect is a call to somebody else. `prepare` records the intent for a batch and commits; `call` runs
 * concurrently across keys and in order within a key, outside any transaction; `settle` records the outcomes and commits
 * them with the consumer's progress. After a crash `prepare` sees the same event again, so it and `call` must be
 * repeatable: the outside is addressed by a key that was stored before the first call.
 */
export interface EachConsumer<Ports extends BasePorts = BasePorts, Work = unknown, Outcome = unknown> {
  readonly kind: "each";
  readonly name: string;
  readonly on: readonly EventDefinition[];
  /** Calls under way at once in a process, over all lanes, slots and sources that the consumer hears, with those of parked keys. */
  readonly concurrency: number;
  readonly order?: CallOrder;
  /** How often a failing key is tried. Absent: the rule of all feeds of the service. */
  readonly retry?: RetryRule;
  /** `prepare` and `settle` write nothing: the work is the event itself. */
  readonly isCallOnly: boolean;
  readonly prepare: (tx: Transaction, events: readonly Delivered[], ports: Ports) => Promise<readonly Prepared<Work>[]>;
  /** What the business may answer is a returned value; a throw is retried with backoff, the key waiting. */
  readonly call: (work: Work, ports: Ports, signal: AbortSignal) => Promise<Outcome>;
  readonly settle: (tx: Transaction, settled: readonly Settled<Work, Outcome>[], ports: Ports) => Promise<void>;
}

export interface Settled<Work, Outcome> {
  readonly event: Delivered;
  readonly work: Work;
  readonly outcome: Outcome;
}

export type Consumer<Ports extends BasePorts = BasePorts> = BatchConsumer<Ports> | EachConsumer<Ports>;

type OneOrMany<Definition extends EventDefinition> = Definition | readonly Definition[];

interface BatchSpecification<Definition extends EventDefinition, Ports extends BasePorts> {
  readonly on: OneOrMany<Definition>;
  readonly in: "batch";
  readonly do: BatchHandler<Definition, Ports>;
}

interface EachSpecification<Definition extends EventDefinition, Ports extends BasePorts, Work, Outcome> {
  readonly on: OneOrMany<Definition>;
  readonly in: "each";
  /** Calls under way at once in a process, whatever number of lanes and slots the consumer hears. */
  readonly concurrency: number;
  readonly order?: CallOrder;
  readonly retry?: RetryRule;
  readonly prepare: (
    tx: Transaction,
    events: readonly Delivered<Definition>[],
    ports: Ports,
  ) => Promise<readonly Prepared<Work>[]>;
  readonly call: (work: Work, ports: Ports, signal: AbortSignal) => Promise<Outcome>;
  readonly settle: (
    tx: Transaction,
    settled: readonly (Omit<Settled<Work, Outcome>, "event"> & { readonly event: Delivered<Definition> })[],
    ports: Ports,
  ) => Promise<void>;
}

/** For a call that needs no record of its own: the event is the work, and nothing is kept of the answer. */
interface CallSpecification<Definition extends EventDefinition, Ports extends BasePorts> {
  readonly on: OneOrMany<Definition>;
  readonly in: "each";
  /** Calls under way at once in a process, whatever number of lanes and slots the consumer hears. */
  readonly concurrency: number;
  readonly order?: CallOrder;
  readonly retry?: RetryRule;
  readonly prepare?: never;
  /** The other side is addressed by the event's id, by which it knows a repetition. */
  readonly call: (event: Delivered<Definition>, ports: Ports, signal: AbortSignal) => Promise<void>;
  readonly settle?: never;
}

/** Names who is heard and in what manner. A service's consumers stand together in its `consumers.ts`. */
export function consumer<Definition extends EventDefinition, Ports extends BasePorts = BasePorts>(
  name: string,
  specification: CallSpecification<Definition, Ports>,
): Consumer<Ports>;
export function consumer<
  Definition extends EventDefinition,
  Ports extends BasePorts = BasePorts,
  Work = never,
  Outcome = never,
>(
  name: string,
  specification: BatchSpecification<Definition, Ports> | EachSpecification<Definition, Ports, Work, Outcome>,
): Consumer<Ports>;
export function consumer<Definition extends EventDefinition, Ports extends BasePorts>(
  name: string,
  specification: AnySpecification<Definition, Ports>,
): Consumer<Ports> {
  const heard = [specification.on].flat() as readonly EventDefinition[];
  const on = withEarlierVersions(heard);
  const own = asSpecified(name, on, specification);
  return on.length > heard.length ? givenPresentVersions(own, upcastTo(heard)) : own;
}

type AnySpecification<Definition extends EventDefinition, Ports extends BasePorts> =
  | BatchSpecification<Definition, Ports>
  | EachSpecification<Definition, Ports, unknown, unknown>
  | CallSpecification<Definition, Ports>;

function asSpecified<Definition extends EventDefinition, Ports extends BasePorts>(
  name: string,
  on: readonly EventDefinition[],
  specification: AnySpecification<Definition, Ports>,
): Consumer<Ports> {
  // The casts widen the handler's event type: the runtime gives a handler only events of the types in `on`.
  if (specification.in === "batch")
    return { kind: "batch", name, on, do: specification.do as BatchHandler<EventDefinition, Ports> };
  const { in: kind, ...rest } = specification;
  const isCallOnly = specification.prepare === undefined;
  return {
    ...(isCallOnly && theEventIsTheWork),
    ...rest,
    isCallOnly,
    kind,
    name,
    on,
  } as unknown as EachConsumer<Ports>;
}

/**
 * The same consumer, given events of earlier versions in the shape of those that it hears. They are upcast here and not
 * when they are read, so that one that can't be fails as any event of its key fails, and is parked as it was told.
 */
function givenPresentVersions<Ports extends BasePorts>(
  own: Consumer<Ports>,
  present: (event: Delivered) => Delivered,
): Consumer<Ports> {
  if (own.kind === "batch") return { ...own, do: (tx, events, ports) => own.do(tx, events.map(present), ports) };
  if (own.isCallOnly)
    return { ...own, call: (event, ports, signal) => own.call(present(event as Delivered), ports, signal) };
  return {
    ...own,
    prepare: (tx, events, ports) => own.prepare(tx, events.map(present), ports),
    settle: (tx, settled, ports) =>
      own.settle(
        tx,
        settled.map((it) => ({ ...it, event: present(it.event) })),
        ports,
      ),
  };
}

/** How an `each` consumer that only calls is prepared and settled. */
const theEventIsTheWork: Pick<EachConsumer, "prepare" | "settle"> = {
  prepare: async (_tx, events) => events.map((event) => ({ eventId: event.id, work: event })),
  settle: async () => undefined,
};
