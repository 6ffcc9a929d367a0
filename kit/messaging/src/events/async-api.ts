/** The events of an application as an AsyncAPI 3.0 document: channels, who sends and receives what, and how it looks on a wire. */

import { type attributeHeaders, kafkaHeaders, schemaUri } from "./cloud-event.ts";
import { type Delivered, type EventDefinition, type Lane, lanes } from "./event.ts";
import type { Hearer } from "./frozen.ts";

export interface AsyncApiOptions {
  readonly title: string;
  readonly version: string;
  readonly description: string;
  /** What each service tells. */
  readonly tells: Readonly<Record<string, readonly EventDefinition[]>>;
  /** Who hears in each service. */
  readonly hears: Readonly<Record<string, readonly Hearer[]>>;
  /** A sentence about a type. */
  readonly meaningOf: (type: string) => string | undefined;
  /** The name of the topic where a log of topics is used. */
  readonly topicOf: (source: string, lane: Lane) => string;
}

const kafka = { bindingVersion: "0.5.0" } as const;

export function asyncApi(options: AsyncApiOptions): object {
  const { title, version, description, tells } = options;
  const definitions = Object.values(tells).flat();
  return {
    asyncapi: "3.0.0",
    info: { title, version, description },
    defaultContentType: "application/json",
    channels: Object.fromEntries(streamsOf(options).map((stream) => [nameOf(stream), channel(stream, options)])),
    operations: { ...sendings(options), ...receivings(options) },
    components: {
      messages: Object.fromEntries(definitions.map((definition) => [definition.type, message(definition, options)])),
      schemas: {
        CloudEventHeaders: cloudEventHeaders,
        ...Object.fromEntries(definitions.map(({ type, schema }) => [type, { $id: schemaUri(type), ...schema }])),
      },
    },
  };
}

/** One lane of one service, and the types that may travel in it. */
interface Stream {
  readonly source: string;
  readonly lane: Lane;
  readonly definitions: readonly EventDefinition[];
}

const nameOf = ({ source, lane }: Pick<Stream, "source" | "lane">): string => `${source}.${lane}`;

const streamsOf = ({ tells }: AsyncApiOptions): Stream[] =>
  Object.entries(tells)
    .flatMap(([source, all]) =>
      lanes.map((lane) => ({ source, lane, definitions: all.filter((definition) => definition.lanes[lane]) })),
    )
    .filter(({ definitions }) => definitions.length > 0);

function channel(stream: Stream, { topicOf }: AsyncApiOptions): object {
  const { source, lane, definitions } = stream;
  return {
    address: topicOf(source, lane),
    title: `The ${lane} lane of ${source}`,
    description: `A topic of Kafka, keyed by the events' key. Without Kafka the table ${source}.outbox_${lane} is read itself.`,
    messages: Object.fromEntries(definitions.map(({ type }) => [type, reference("components", "messages", type)])),
    bindings: { kafka: { topic: topicOf(source, lane), ...kafka } },
  };
}

const sendings = (options: AsyncApiOptions): Record<string, object> =>
  Object.fromEntries(
    streamsOf(options).map((stream) => [
      `${stream.source}.tells.${stream.lane}`,
      {
        ...operation("send", stream, stream.definitions, stream.source),
        summary: `${stream.source} tells what it committed.`,
      },
    ]),
  );

const receivings = (options: AsyncApiOptions): Record<string, object> =>
  Object.fromEntries(
    Object.entries(options.hears).flatMap(([service, hearers]) =>
      hearers.flatMap(({ name, on }) => streamsOf(options).flatMap((stream) => hearing(stream, { service, name, on }))),
    ),
  );

function hearing(stream: Stream, { service, name, on }: Hearer & { service: string }): [string, object][] {
  const heard = stream.definitions.filter(({ type }) => on.some((definition) => definition.type === type));
  if (heard.length === 0) return [];
  return [[`${name}.hears.${nameOf(stream)}`, operation("receive", stream, heard, service)]];
}

const operation = (
  action: "send" | "receive",
  stream: Stream,
  definitions: readonly EventDefinition[],
  service: string,
): object => ({
  action,
  channel: reference("channels", nameOf(stream)),
  messages: definitions.map(({ type }) => reference("channels", nameOf(stream), "messages", type)),
  tags: [{ name: service }],
});

function message(definition: EventDefinition, options: AsyncApiOptions): object {
  const { type, aggregate, key, schema, sample } = definition;
  const meaning = options.meaningOf(type);
  return {
    name: type,
    title: type,
    ...(meaning !== undefined && { summary: meaning }),
    contentType: "application/json",
    correlationId: { location: "$message.header#/ce_correlationid" },
    headers: {
      allOf: [
        reference("components", "schemas", "CloudEventHeaders"),
        { type: "object", properties: { ce_type: { const: type } } },
      ],
    },
    payload: reference("components", "schemas", type),
    bindings: { kafka: { key: schema.properties[key], ...kafka } },
    tags: [{ name: aggregate }],
    examples: [{ name: "sample", headers: headersOf(example(definition, options)), payload: sample }],
    "x-key": key,
    "x-lane-change": definition.laneChange,
    "x-when-dead": definition.whenDead,
    "x-compatibility": definition.compatibility,
    "x-personal": definition.personal,
  };
}

const headersOf = (event: Delivered): object => Object.fromEntries(kafkaHeaders(event));

function example({ type, key, sample, lanes: allowed }: EventDefinition, { tells }: AsyncApiOptions): Delivered {
  const [source = ""] = Object.entries(tells).find(([, all]) => all.some((it) => it.type === type)) ?? [];
  return {
    id: "0192f0c1-0000-7000-8000-00000000000a",
    type,
    source,
    incarnation: "0192f0c1-0000-7000-8000-00000000000b",
    key: String((sample as Record<string, unknown>)[key]),
    sequence: 1,
    lane: lanes.find((lane) => allowed[lane]) ?? "online",
    time: "2026-11-21T09:00:00.000Z",
    cause: { correlationId: "0192f0c1-0000-7000-8000-00000000000c" },
    data: sample,
  };
}

const text = (description: string) => ({ type: "string", minLength: 1, description });

const described: Record<keyof typeof attributeHeaders, object> = {
  specversion: { const: "1.0" },
  id: text("Unique; the same however often the event is delivered."),
  source: text("The service that told it."),
  type: text("A past fact with a version."),
  time: { type: "string", format: "date-time", description: "When it was published." },
  datacontenttype: { const: "application/json" },
  dataschema: text("Where the data's schema is known by."),
  key: text("The events of one key are told in order."),
  partitionkey: text("The key, as CloudEvents' partitioning extension spells it."),
  sequence: {
    type: "string",
    pattern: "^[1-9][0-9]*$",
    description: "The key's version, over all types of its aggregate.",
  },
  incarnation: text("Which life of the producer told it: one restored from a backup begins another."),
  lane: { enum: lanes, description: "Bulk work stands in nobody's way." },
  correlationid: text("The same for everything that one request set off."),
  causationid: text("What directly caused it."),
  traceparent: text("W3C trace context."),
  replayof: text("The event that this one repeats under an id of its own."),
};

const optional = new Set(["causationid", "traceparent", "replayof"]);

/** CloudEvents 1.0 in Kafka's binary mode: attributes are headers, and the data's type is Kafka's own header for it. */
const cloudEventHeaders = {
  type: "object",
  required: [
    "content-type",
    ...Object.keys(described)
      .filter((name) => name !== "datacontenttype" && !optional.has(name))
      .map((name) => `ce_${name}`),
  ],
  properties: {
    "content-type": described.datacontenttype,
    ...Object.fromEntries(
      Object.entries(described).flatMap(([name, schema]) =>
        name === "datacontenttype" ? [] : [[`ce_${name}`, schema]],
      ),
    ),
  },
};

/** Names of ours have no character that a JSON pointer would have to escape. */
const reference = (...path: readonly string[]): { $ref: string } => ({ $ref: `#/${path.join("/")}` });
