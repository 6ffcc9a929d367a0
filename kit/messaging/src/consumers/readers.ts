import type { EventDefinition } from "../events/event.ts";
import type { CallOrder, Consumer } from "./consumer.ts";

/** One reader of a service: all batch consumers of it read as one, each of the others for itself. */
export interface Reader {
  /** As its cursors, parked keys and dead letters are named. */
  readonly name: string;
  readonly kind: Consumer["kind"];
  readonly consumers: readonly string[];
  /** Whether its inbox says how far each key was heard: one without order keeps which events it had. */
  readonly keepsSequences: boolean;
  /** What it hears, by type. */
  readonly hears: ReadonlyMap<string, HeardType>;
}

export interface HeardType {
  readonly definition: EventDefinition;
  /** The service that tells it. */
  readonly source: string;
}

/** What a service's consumers are called where they are operated. */
export function readersOf(
  service: string,
  consumers: readonly { kind: Consumer["kind"]; name: string; on: readonly EventDefinition[]; order?: CallOrder }[],
  sourceOf: (definition: EventDefinition) => string,
): Reader[] {
  const byReader = Map.groupBy(consumers, ({ kind, name }) => (kind === "batch" ? service : name));
  return [...byReader].map(([name, own]) => ({
    name,
    kind: own[0]?.kind ?? "batch",
    consumers: own.map((consumer) => consumer.name),
    keepsSequences: own.every(({ order }) => order !== "unordered"),
    hears: new Map(
      own.flatMap(({ on }) => on).map((definition) => [definition.type, { definition, source: sourceOf(definition) }]),
    ),
  }));
}
