/**
 * What a type of event has ever looked like, kept beside the code: one frozen file per type and version. A change of the
 * definition is judged against all of it, because events of every shape that it ever had may lie in an outbox, a topic, a
 * parked key or a backup.
 */

import { Check } from "typebox/schema";
import { type Misfit, misfits, same } from "./compatibility.ts";
import { type JsonSchema, opened, unannotated } from "./content-model.ts";
import { type Compatibility, type EventDefinition, type Lane, lanesOf } from "./event.ts";
import { earlierVersions, upcastTo } from "./upcast.ts";

/** A type as it was frozen. */
export interface FrozenEvent {
  readonly type: string;
  /** The promise to those who hear it: it holds until another one has been frozen. */
  readonly compatibility: Compatibility;
  readonly key: string;
  readonly lanes: readonly Lane[];
  readonly laneChange: EventDefinition["laneChange"];
  /** Every shape it ever had, the first one first, each with the sample of its time. */
  readonly shapes: readonly FrozenShape[];
}

export interface FrozenShape {
  readonly schema: JsonSchema;
  readonly sample: unknown;
}

/** Somebody who hears events: a consumer, by its name. */
export interface Hearer {
  readonly name: string;
  readonly on: readonly EventDefinition[];
}

/** A change that breaks a promise. */
export interface Break {
  readonly type: string;
  /** A JSON pointer into the data; empty where the type as a whole is meant. */
  readonly path: string;
  readonly rule: Compatibility;
  readonly what: string;
  /** The consumers that it breaks, by name. */
  readonly breaks: readonly string[];
}

/** The frozen form of a definition: what was frozen before, and its present shape where that is another one. */
export function freeze(definition: EventDefinition, before?: FrozenEvent): FrozenEvent {
  const { type, compatibility, key, laneChange, sample } = definition;
  const schema = unannotated(definition.schema);
  const shapes = before?.shapes ?? [];
  const isKnown = same(shapes.at(-1)?.schema, schema);
  return {
    type,
    compatibility,
    key,
    lanes: lanesOf([definition]),
    laneChange,
    shapes: isKnown ? shapes : [...shapes, { schema, sample }],
  };
}

/** Every promise that the definitions break, against what was frozen, and who is broken by it. */
export function judge(
  definitions: readonly EventDefinition[],
  frozen: readonly FrozenEvent[],
  hearers: readonly Hearer[],
): Break[] {
  const present = new Map(definitions.map((definition) => [definition.type, definition]));
  return frozen
    .filter(({ compatibility }) => compatibility !== "NONE")
    .flatMap((before) => {
      const definition = present.get(before.type);
      const faults = definition ? faultsOf(before, definition) : [{ path: "", what: gone }];
      const hearing = namesOf(hearers, before.type);
      const broken = faults.map((fault) => ({
        ...{ type: before.type, path: fault.path, rule: before.compatibility, what: fault.what, breaks: hearing },
      }));
      return [...broken, ...brokenUpcasts(before, definitions, hearers)];
    });
}

const gone = "is not defined any more, and its events may still lie anywhere; freeze it with NONE before it goes";

const namesOf = (hearers: readonly Hearer[], type: string): string[] =>
  hearers.filter(({ on }) => on.some((heard) => heard.type === type)).map(({ name }) => name);

function faultsOf(before: FrozenEvent, now: EventDefinition): Misfit[] {
  const { compatibility } = before;
  return distinct([
    ...identityFaults(before, now),
    ...(compatibility === "FORWARD" ? [] : backwardFaults(before, now)),
    ...(compatibility === "BACKWARD" ? [] : forwardFaults(before, now)),
  ]);
}

/** What no rule allows to change: the order of a key's events hangs on it. */
function identityFaults(before: FrozenEvent, now: EventDefinition): Misfit[] {
  return [
    ...(before.key === now.key
      ? []
      : [
          {
            path: `/${before.key}`,
            what: `was the key, which is ${now.key} now: events of a key would lose their order`,
          },
        ]),
    ...(before.laneChange === now.laneChange
      ? []
      : [{ path: "", what: `a key in both lanes meant ${before.laneChange}, and means ${now.laneChange} now` }]),
  ];
}

function backwardFaults(before: FrozenEvent, now: EventDefinition): Misfit[] {
  const said = (misfit: Misfit) => ({ ...misfit, what: `new consumers can't read old events: ${misfit.what}` });
  const left = before.lanes.filter((lane) => !now.lanes[lane]);
  return [
    ...before.shapes
      .flatMap(({ schema, sample }) =>
        misfitsOr(misfits(schema, unannotated(now.schema)), now.whyUnreadable(sample) === undefined),
      )
      .map(said),
    ...left.map((lane) => said({ path: "", what: `nobody reads the ${lane} lane any more, where they may lie` })),
  ];
}

function forwardFaults(before: FrozenEvent, now: EventDefinition): Misfit[] {
  const said = (misfit: Misfit) => ({
    ...misfit,
    what: `consumers that are not renewed yet can't read new events: ${misfit.what}`,
  });
  const joined = lanesOf([now]).filter((lane) => !before.lanes.includes(lane));
  return [
    ...before.shapes
      .flatMap(({ schema }) => misfitsOr(misfits(unannotated(now.schema), schema), Check(opened(schema), now.sample)))
      .map(said),
    ...joined.map((lane) => said({ path: "", what: `they do not read the ${lane} lane` })),
  ];
}

/** The sample is asked beside the schemas, which may say more than the comparison understands. */
const misfitsOr = (found: Misfit[], sampleIsRead: boolean): Misfit[] =>
  found.length > 0 || sampleIsRead ? found : [{ path: "", what: "the sample is refused" }];

/** Shapes that were frozen one after the other are often broken by the same change. */
const distinct = (faults: readonly Misfit[]): Misfit[] => [
  ...new Map(faults.map((fault) => [JSON.stringify([fault.path, fault.what]), fault])).values(),
];

/** Later versions that are made from this type, and can't be made from what it once was. */
function brokenUpcasts(
  before: FrozenEvent,
  definitions: readonly EventDefinition[],
  hearers: readonly Hearer[],
): Break[] {
  return definitions
    .filter((later) => earlierVersions(later).some(({ type }) => type === before.type))
    .flatMap((later) =>
      before.shapes.flatMap(({ sample }) => {
        const why = whyNotUpcast(sample, before.type, later);
        if (why === undefined) return [];
        const what = `a sample can't be made a ${later.type}: ${why}`;
        return [
          { type: before.type, path: "", rule: before.compatibility, what, breaks: namesOf(hearers, later.type) },
        ];
      }),
    );
}

function whyNotUpcast(sample: unknown, type: string, later: EventDefinition): string | undefined {
  try {
    upcastTo([later])({ type, data: sample, id: "(sample)" } as never);
    return undefined;
  } catch (error) {
    const { cause, message } = error as Error;
    return cause instanceof Error ? cause.message : message;
  }
}
