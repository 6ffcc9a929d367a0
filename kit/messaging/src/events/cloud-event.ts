/**
 * An event in the words of CloudEvents 1.0, and as a record of Kafka by its protocol binding in binary mode: attributes
 * are headers `ce_*`, data is the value (https://github.com/cloudevents/spec, Kafka Protocol Binding 1.0.2). An outbox
 * row holds the same attributes; see `outbox-row.ts`.
 */

import { type Cause, type Delivered, isEventName, isKeySize, type Lane, lanes, maximumKeyBytes } from "./event.ts";
import { isKeepable, isStorable } from "./storable.ts";

/** An event without what it says. */
export type Envelope = Omit<Delivered, "data">;

/** The attributes of an event. All extension attributes are strings: not every binding has another kind. */
export interface CloudEventAttributes {
  readonly specversion: "1.0";
  readonly id: string;
  readonly source: string;
  readonly type: string;
  /** The key: what the event is about. */
  readonly subject: string;
  readonly time: string;
  readonly datacontenttype: "application/json";
  readonly dataschema: string;
  readonly key: string;
  /** The key once more, under the name that CloudEvents' partitioning extension gave it. */
  readonly partitionkey: string;
  readonly sequence: string;
  readonly incarnation: string;
  readonly lane: Lane;
  readonly correlationid: string;
  readonly causationid?: string;
  readonly traceparent?: string;
  readonly replayof?: string;
}

/** An event in CloudEvents' JSON format. */
export interface CloudEvent extends CloudEventAttributes {
  readonly data: unknown;
}

/** Where the schema of a type is known by: the `$id` of its frozen schema. */
export const schemaUri = (type: string): string => `urn:event-schema:${type}`;

export function attributesOf(event: Envelope): CloudEventAttributes {
  const { correlationId, causationId, traceparent } = event.cause;
  return {
    specversion: "1.0",
    id: event.id,
    source: event.source,
    type: event.type,
    subject: event.key,
    time: event.time,
    datacontenttype: "application/json",
    dataschema: schemaUri(event.type),
    key: event.key,
    partitionkey: event.key,
    sequence: String(event.sequence),
    incarnation: event.incarnation,
    lane: event.lane,
    correlationid: correlationId,
    ...(causationId !== undefined && { causationid: causationId }),
    ...(traceparent !== undefined && { traceparent }),
    ...(event.replayOf !== undefined && { replayof: event.replayOf }),
  };
}

export const toCloudEvent = (event: Delivered): CloudEvent => ({ ...attributesOf(event), data: event.data });

/** What is produced to Kafka for one event. */
export interface KafkaRecord {
  readonly key: string;
  readonly value: string;
  readonly headers: Map<string, string>;
}

/**
 * The subject is left out: it is the key, which has two headers already, and each one is written, kept and read for every
 * event. CloudEvents asks for none.
 */
type KafkaAttribute = Exclude<keyof CloudEventAttributes, "subject">;

/** The header of each attribute. Those that all events of a type in one lane share come first: a relay writes them as one. */
export const attributeHeaders = {
  specversion: "ce_specversion",
  source: "ce_source",
  type: "ce_type",
  datacontenttype: "content-type",
  dataschema: "ce_dataschema",
  lane: "ce_lane",
  incarnation: "ce_incarnation",
  id: "ce_id",
  time: "ce_time",
  key: "ce_key",
  partitionkey: "ce_partitionkey",
  sequence: "ce_sequence",
  correlationid: "ce_correlationid",
  causationid: "ce_causationid",
  traceparent: "ce_traceparent",
  replayof: "ce_replayof",
} as const satisfies Record<KafkaAttribute, string>;

/** Made once: a relay writes all of them for every event. */
const headerNames = Object.entries(attributeHeaders) as readonly [KafkaAttribute, string][];

/** Headers that all events of a type in one lane of a source share. */
export const sharedHeaders = ({ source, type, lane }: Pick<Envelope, "source" | "type" | "lane">) => ({
  [attributeHeaders.specversion]: "1.0",
  [attributeHeaders.source]: source,
  [attributeHeaders.type]: type,
  [attributeHeaders.datacontenttype]: "application/json",
  [attributeHeaders.dataschema]: schemaUri(type),
  [attributeHeaders.lane]: lane,
});

/** The headers of an event's record. The key goes with them, since the record's own key may be anybody's. */
export function kafkaHeaders(event: Envelope): Map<string, string> {
  const attributes = attributesOf(event);
  const headers = new Map<string, string>();
  for (const [name, header] of headerNames) {
    const value = attributes[name];
    if (value !== undefined) headers.set(header, value);
  }
  return headers;
}

/** `value`: the data as JSON, for those who have it as text already. */
export const toKafkaRecord = (event: Delivered, value: string = JSON.stringify(event.data)): KafkaRecord => ({
  key: event.key,
  value,
  headers: kafkaHeaders(event),
});

/** Why something on a topic is no event of ours. */
export type ForeignCause =
  | "NO_CLOUD_EVENT"
  | "STRUCTURED_MODE"
  | "WRONG_SPECVERSION"
  | "WRONG_CONTENT_TYPE"
  | "MISSING_ATTRIBUTE"
  | "BAD_ATTRIBUTE"
  | "MISSING_KEY"
  | "KEY_MISMATCH"
  | "WRONG_PARTITION"
  | "UNKNOWN_TYPE"
  | "NO_DATA"
  | "BROKEN_JSON"
  | "BROKEN_TEXT"
  | "TOO_LARGE";

/** Something on the topic that is no event of ours: it can't be applied, and belongs to the dead letters with this cause. */
export interface Foreign {
  readonly foreign: ForeignCause;
  readonly why: string;
}

export const isForeign = (read: Delivered | Foreign): read is Foreign => "foreign" in read;

type Bytes = Uint8Array | string;

/** A record as it comes from a broker, whoever produced it. */
export interface ReceivedRecord {
  readonly key?: Bytes | null | undefined;
  readonly value?: Bytes | null | undefined;
  /** A Map will do. */
  readonly headers: Iterable<readonly [Bytes, Bytes | null | undefined]>;
}

/**
 * The event that a record is, or why it is none. Its data is an object, but is not yet compared with its type's schema.
 * A header `headers` with a JSON object may hold attributes, too: Debezium's outbox event router puts a column whole into
 * one header, and the outbox keeps the cause in one column.
 */
export function fromKafkaRecord(
  record: ReceivedRecord,
  { knows = () => true }: { knows?: (type: string) => boolean } = {},
): Delivered | Foreign {
  try {
    const envelope = readEnvelope(readAttributes(record));
    refuseForeignKey(envelope, record.key);
    if (!knows(envelope.type)) refuse("UNKNOWN_TYPE", `nobody here knows ${envelope.type}`);
    return { ...envelope, data: readData(record.value) } as Delivered;
  } catch (error) {
    if (error instanceof ForeignError) return { foreign: error.foreign, why: error.message };
    throw error;
  }
}

/** Only within this file: outside, a foreign record is a value. */
class ForeignError extends Error {
  override readonly name = "ForeignError";
  readonly foreign: ForeignCause;
  constructor(foreign: ForeignCause, why: string) {
    super(why);
    this.foreign = foreign;
  }
}

function refuse(foreign: ForeignCause, why: string): never {
  throw new ForeignError(foreign, why);
}

type Attributes = ReadonlyMap<string, string>;

function readAttributes({ headers }: ReceivedRecord): Attributes {
  const attributes = new Map<string, string>();
  let contentType: string | undefined;
  for (const [rawName, rawValue] of headers) {
    const name = textOf(rawName, "a header's name");
    if (rawValue === null || rawValue === undefined) continue;
    if (name === "headers") addInner(attributes, textOf(rawValue, "the header headers"));
    else if (name === "content-type") contentType = textOf(rawValue, "the header content-type");
    else addAttribute(attributes, name, rawValue);
  }
  refuseWrongContentType(contentType);
  if (attributes.size === 0) refuse("NO_CLOUD_EVENT", "it has no header ce_*");
  return attributes;
}

/** The attributes of events of ours by their headers. */
const knownAttributes = new Map<string, string>(headerNames.map(([attribute, header]) => [header, attribute]));

function addAttribute(attributes: Map<string, string>, header: string, value: Bytes): void {
  const name = knownAttributes.get(header) ?? (header.startsWith("ce_") ? header.slice("ce_".length) : undefined);
  if (name !== undefined)
    attributes.set(name, typeof value === "string" ? value : textOf(value, `the header ${header}`));
}

/** An attribute that has a header of its own is taken from there. */
function addInner(attributes: Map<string, string>, text: string): void {
  const inner = parse(text, "BAD_ATTRIBUTE", "the header headers");
  for (const [name, value] of Object.entries(inner)) {
    if (typeof value === "string" && !attributes.has(name)) attributes.set(name, value);
  }
}

function refuseWrongContentType(contentType: string | undefined): void {
  if (contentType === undefined || contentType === "application/json") return;
  const [mediaType = ""] = contentType.toLowerCase().split(";");
  if (mediaType.startsWith("application/cloudevents"))
    refuse("STRUCTURED_MODE", `${contentType}: attributes are expected in headers`);
  if (!/^application\/(?:[^/]+\+)?json *$/.test(mediaType)) refuse("WRONG_CONTENT_TYPE", `${contentType} is not JSON`);
}

function readEnvelope(attributes: Attributes): Envelope {
  const { required, optional } = lookUp(attributes);
  const specversion = required("specversion");
  if (specversion !== "1.0") refuse("WRONG_SPECVERSION", `specversion is ${quoted(specversion)}, not 1.0`);
  const replayOf = optional("replayof");
  return {
    id: required("id"),
    ...(replayOf !== undefined && { replayOf }),
    type: required("type", isEventName),
    source: required("source"),
    incarnation: required("incarnation", isIncarnation),
    key: readKey(optional("key") || optional("partitionkey") || optional("subject")),
    sequence: Number(required("sequence", isSequence)),
    lane: required("lane", isLane) as Lane,
    time: required("time", isTime),
    cause: readCause(attributes),
  };
}

function readKey(key: string | undefined): string {
  if (!key) return refuse("MISSING_KEY", "it has no key");
  if (!isKeySize(key)) refuse("BAD_ATTRIBUTE", `its key has more than ${maximumKeyBytes} bytes`);
  return key;
}

function readCause(attributes: Attributes): Cause {
  const { required, optional } = lookUp(attributes);
  const [causationId, traceparent] = [optional("causationid"), optional("traceparent")];
  return {
    correlationId: required("correlationid"),
    ...(causationId !== undefined && { causationId }),
    ...(traceparent !== undefined && { traceparent }),
  };
}

const lookUp = (attributes: Attributes) => ({
  optional(name: string): string | undefined {
    const value = attributes.get(name);
    if (value?.includes(nul)) refuse("BAD_ATTRIBUTE", `${name} is ${quoted(value)}`);
    return value;
  },
  required(name: string, isGood: (text: string) => boolean = isText): string {
    const value = attributes.get(name) ?? refuse("MISSING_ATTRIBUTE", `it has no attribute ${name}`);
    if (!isGood(value)) refuse("BAD_ATTRIBUTE", `${name} is ${quoted(value)}`);
    return value;
  },
});

/** PostgreSQL keeps none in a text: what has one could not even be set aside. */
const nul = "\0";
const isText = (text: string): boolean => text !== "" && !text.includes(nul);

const uuid = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
/** Nearly always that of the event before. */
let knownIncarnation = "";

function isIncarnation(text: string): boolean {
  if (text === knownIncarnation) return true;
  if (!uuid.test(text)) return false;
  knownIncarnation = text;
  return true;
}

const isLane = (text: string): boolean => lanes.some((lane) => lane === text);
const isSequence = (text: string): boolean => /^[1-9]\d{0,15}$/.test(text) && Number.isSafeInteger(Number(text));
const isTime = (text: string): boolean =>
  /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)$/.test(text) && !Number.isNaN(Date.parse(text));

/** A record lies in the partition of its own key: under another one it would overtake, or be overtaken. */
function refuseForeignKey({ key }: Envelope, recordKey: ReceivedRecord["key"]): void {
  if (recordKey === null || recordKey === undefined) refuse("MISSING_KEY", "the record has no key");
  const own = textOf(recordKey, "the record's key");
  if (own !== key) refuse("KEY_MISMATCH", `the record's key is ${quoted(own)}, the event's ${quoted(key)}`);
}

function readData(value: ReceivedRecord["value"]): object {
  if (value === null || value === undefined || value.length === 0) refuse("NO_DATA", "the record has no value");
  const json = textOf(value, "the value");
  const data = parse(json, "BROKEN_JSON", "the value");
  // Who wrote it may have escaped whole characters, too.
  if (!isStorable(json) && !isKeepable(data))
    refuse("BROKEN_TEXT", "the value has a NUL, half of a character, or too many levels to look for one");
  return data;
}

function parse(text: string, foreign: ForeignCause, what: string): object {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (error) {
    refuse(foreign, `${what} is no JSON: ${(error as Error).message}`);
  }
  if (typeof parsed !== "object" || parsed === null || Array.isArray(parsed)) refuse(foreign, `${what} is no object`);
  return parsed;
}

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** What a lenient reader writes where bytes are no UTF-8; a text may also hold it for itself. */
const replacement = "\ufffd";

function textOf(bytes: Bytes, what: string): string {
  if (typeof bytes === "string") return bytes;
  // Lenient reading is several times as fast, and an event has some thirty texts.
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString();
  if (!text.includes(replacement)) return text;
  try {
    return decoder.decode(bytes);
  } catch {
    return refuse("BROKEN_TEXT", `${what} is no UTF-8`);
  }
}

/** Of a stranger's text no more than a line. */
export const quoted = (text: string): string => JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}...` : text);
