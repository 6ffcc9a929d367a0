import type { Static, TObject, TSchema } from "typebox";
import { Compile, type Validator } from "typebox/compile";
import { closed, opened } from "./content-model.ts";
import type { Upcaster } from "./upcast.ts";

/** The two outboxes of a service. A monthly batch writes to `bulk`, so that it can't stand in the way of `online`. */
export type Lane = "online" | "bulk";
export const lanes: readonly Lane[] = ["online", "bulk"];

/** Where an event comes from and belongs to; passed on from what caused it (CloudEvents extension attributes). */
export interface Cause {
  /** Id of the event or request that directly caused this event. Absent at the very beginning. */
  readonly causationId?: string;
  /** The same for everything that one request set off. */
  readonly correlationId: string;
  /** W3C trace context, carried unchanged through outbox, log and consumer. */
  readonly traceparent?: string;
}

export type WhenDead = "block" | "skip";

/**
 * What a changed schema of a type owes to those who hear it. `BACKWARD`: the new one reads everything that was ever
 * written. `FORWARD`: those who know only an old one read what is written now. `FULL`: both. `NONE`: nothing.
 */
export type Compatibility = "BACKWARD" | "FORWARD" | "FULL" | "NONE";

/** One type of event: its name, its shape, and what can't be added to it later. */
export interface EventDefinition<Type extends string = string, Data = unknown> {
  /** A past fact with a version: `stock.reserved.v1`. */
  readonly type: Type;
  /** The first word of the type. All types of one aggregate share the aggregate's key and count one sequence per key. */
  readonly aggregate: string;
  /** The field of the data that is the key. */
  readonly key: string;
  /** Which lanes the type may travel in. */
  readonly lanes: Readonly<Partial<Record<Lane, true>>>;
  /**
   * What it means that a key's events come through both lanes. `same-lane`: its writer keeps the key in the lane it is
   * in. `latest-wins`: a consumer takes the highest sequence and forgets what is older.
   */
  readonly laneChange: "same-lane" | "latest-wins";
  /**
   * What becomes of a key when this event of it is dead. `block`: the rest waits until a person has looked. `skip`: the
   * rest flows on without it, which only a `latest-wins` type may say: the next event of its key makes it needless. The
   * facts of a saga are never such; a step would be taken that nobody asked for.
   */
  readonly whenDead: WhenDead;
  /** Fields that tell about a person. Best none: carry the person's id. */
  readonly personal: readonly string[];
  /** What `onsale schema check` holds a change of the schema to. */
  readonly compatibility: Compatibility;
  /** As writers are held to it: closed at every level. */
  readonly schema: TObject;
  /** An example of the data. Tests keep it readable for ever; the documents show it. */
  readonly sample: Data;
  /** How the version before becomes this one. Whoever hears this type is given that one's events, too. */
  readonly earlier?: Upcaster<Data>;
  /** Of what is to be published. */
  readonly validator: Validator;
  /** Why data that was read is not of this type. Fields that the schema does not name are passed over: a later one may. */
  readonly whyUnreadable: (data: unknown) => string | undefined;
}

export interface EventSpecification<Schema extends TObject> {
  readonly key: keyof Static<Schema> & string;
  readonly lanes: Readonly<Partial<Record<Lane, true>>>;
  readonly laneChange?: "same-lane" | "latest-wins";
  /** Default `block`. */
  readonly whenDead?: WhenDead;
  readonly personal?: readonly (keyof Static<Schema> & string)[];
  /**
   * Default `BACKWARD`: the log keeps what was told, so whoever hears a type has to read its old events, and those who
   * hear it are renewed together with, or before, the one who tells it.
   */
  readonly compatibility?: Compatibility;
  readonly schema: Schema;
  readonly sample: Static<Schema>;
  /** From the second version on, unless nothing of the one before is left anywhere: `upcast(before, (data) => ...)`. */
  readonly earlier?: Upcaster<Static<Schema>>;
}

/** Defines one type of event. The schema is closed: a field that it does not name is refused at publish. */
export function defineEvent<const Type extends string, Schema extends TObject>(
  type: Type,
  specification: EventSpecification<Schema>,
): EventDefinition<Type, Static<Schema>> {
  if (!isEventName(type)) throw new Error(`${type} is not an event name like "order.placed.v1".`);
  const { laneChange = "same-lane", whenDead = "block" } = specification;
  if (whenDead === "skip" && laneChange !== "latest-wins")
    throw new Error(`${type} can't be skipped when it is dead: not the latest of its key says all.`);
  const schema = closed(specification.schema) as unknown as Schema;
  const validator = Compile(schema as TSchema) as unknown as Validator;
  if (!validator.Check(specification.sample)) refuseSample(type);
  const definition: EventDefinition<Type, Static<Schema>> = {
    type,
    aggregate: aggregateOf(type),
    key: specification.key,
    lanes: specification.lanes,
    laneChange,
    whenDead,
    personal: specification.personal ?? [],
    compatibility: specification.compatibility ?? "BACKWARD",
    schema,
    sample: specification.sample,
    ...(specification.earlier && { earlier: specification.earlier }),
    validator,
    whyUnreadable: readerOf(schema),
  };
  if (specification.earlier) refuseUnfitUpcaster(definition, specification.earlier);
  return definition;
}

let unfitSamples: string[] | undefined;

/**
 * For a tool that judges definitions, before it loads them: from now on a type whose own sample it would refuse is noted here,
 * and the program goes on to what else it has to say of it. Everywhere else it is a fault at the start.
 */
export const noteUnfitSamples = (): readonly string[] => (unfitSamples ??= []);

function refuseSample(type: string): void {
  if (!unfitSamples) throw new Error(`The sample of ${type} does not fit its schema.`);
  unfitSamples.push(type);
}

/** Compiled when it is first asked: most processes never meet an event that they have to doubt. */
function readerOf(schema: TSchema): (data: unknown) => string | undefined {
  let validator: Validator | undefined;
  return (data) => {
    validator ??= Compile(opened(schema) as TSchema) as unknown as Validator;
    return whyUnfit(validator, data);
  };
}

/** What first keeps data from fitting a schema; undefined when it fits. */
export function whyUnfit(validator: Validator, data: unknown): string | undefined {
  if (validator.Check(data)) return undefined;
  const [first] = validator.Errors(data);
  return first ? `${first.instancePath || "/"} ${first.message}` : "unknown fault";
}

/** The sample of the earlier version has to become this one, under the same key: later is too late to notice. */
function refuseUnfitUpcaster({ type, key, validator }: EventDefinition, { from, change }: Upcaster): void {
  if (versionless(from.type) !== versionless(type)) throw new Error(`${type} can't be made from ${from.type}.`);
  const [before, after] = [from.sample, change(from.sample)] as Record<string, unknown>[];
  if (!validator.Check(after)) throw new Error(`The sample of ${from.type} does not become a ${type}.`);
  if (before?.[from.key] !== after?.[key]) throw new Error(`${type} has another key than ${from.type}.`);
}

const versionless = (type: string): string => type.slice(0, type.lastIndexOf("."));

/** Bytes of a key at most: what every index that has one takes. */
export const maximumKeyBytes = 1_024;

// A character has three bytes at most, so that nearly all keys need not be measured.
export const isKeySize = (key: string): boolean =>
  key.length * 3 <= maximumKeyBytes || Buffer.byteLength(key) <= maximumKeyBytes;

/** An aggregate, what happened to it, and a version. */
export const isEventName = (text: string): boolean =>
  /^[a-z]+(?:-[a-z]+)*\.[a-z]+(?:-[a-z]+)*\.v[1-9][0-9]*$/.test(text);

export type DataOf<Definition> = Definition extends EventDefinition<string, infer Data> ? Data : never;

/** An event about to be published: a fact that the running transaction makes true. */
export interface OutgoingEvent<Definition extends EventDefinition = EventDefinition> {
  readonly event: Definition;
  readonly data: DataOf<Definition>;
  /**
   * The key's version after this fact, counted over all types of the aggregate, first 1. The publisher holds the key's
   * row lock, so no two transactions can count the same.
   */
  readonly sequence: number;
  readonly cause: Cause;
  /** Default `online`. */
  readonly lane?: Lane;
}

/** Builds an outgoing event; only for its types. */
export const fact = <Definition extends EventDefinition>(
  event: Definition,
  rest: Omit<OutgoingEvent<Definition>, "event">,
): OutgoingEvent<Definition> => ({ event, ...rest });

/** An event as a consumer gets it (CloudEvents attributes in this language's spelling). */
export type Delivered<Definition extends EventDefinition = EventDefinition> =
  Definition extends EventDefinition<infer Type, infer Data>
    ? {
        /** Unique; the same however often it is delivered. */
        readonly id: string;
        /** The id of the event that an operator had processed anew under an id of its own (`reprocess`). */
        readonly replayOf?: string;
        readonly type: Type;
        /** The service whose outbox it was read from. */
        readonly source: string;
        /** Which life of the producer told it (a UUID): one that was restored from a backup begins another. */
        readonly incarnation: string;
        readonly key: string;
        readonly sequence: number;
        readonly lane: Lane;
        /** When it was published, RFC 3339. */
        readonly time: string;
        readonly cause: Cause;
        readonly data: Data;
      }
    : never;

/** What an event published because of this one carries as its cause. */
export const causedBy = (event: Pick<Delivered, "id" | "cause">): Cause => ({ ...event.cause, causationId: event.id });

/** The aggregate that a type belongs to: its first word. */
export const aggregateOf = (type: string): string => type.slice(0, type.indexOf("."));

/** The lanes in which any of these may come. One that none of them may use is not read at all. */
export const lanesOf = (on: readonly EventDefinition[]): Lane[] =>
  lanes.filter((lane) => on.some((definition) => definition.lanes[lane]));
