/**
 * Old versions of a type in the shape of its present one. What was told once is told for ever: outboxes, topics, parked
 * keys and backups hold it in its old shape, and nothing rewrites it there. A handler that hears `order.placed.v2` is
 * given what was told as v1, too, in the shape of v2.
 */

import type { DataOf, Delivered, EventDefinition } from "./event.ts";

/** How the data of the version before becomes the data of this one. Pure: the same event may be upcast any number of times. */
export interface Upcaster<Data = unknown> {
  readonly from: EventDefinition;
  readonly change: (data: unknown) => Data;
}

/** Declares the step from the version before; stands in the definition of the later version. */
export const upcast = <Earlier extends EventDefinition, Data>(
  from: Earlier,
  change: (data: DataOf<Earlier>) => Data,
): Upcaster<Data> => ({ from, change: change as (data: unknown) => Data });

/** An event of an old version could not be brought into the present shape: a fault of the event, or of the upcaster. */
export class UpcastError extends Error {
  override readonly name = "UpcastError";
}

/** The earlier versions that a definition can be made from, the latest first. */
export const earlierVersions = ({ earlier }: EventDefinition): readonly EventDefinition[] =>
  earlier ? [earlier.from, ...earlierVersions(earlier.from)] : [];

/** These definitions and all earlier versions of them: what has to be read so that none of their events is missed. */
export const withEarlierVersions = (definitions: readonly EventDefinition[]): readonly EventDefinition[] => {
  const byType = new Map(definitions.map((definition) => [definition.type, definition]));
  for (const definition of definitions)
    for (const before of earlierVersions(definition)) if (!byType.has(before.type)) byType.set(before.type, before);
  return [...byType.values()];
};

/**
 * Brings events into the versions that somebody hears; an event of such a version stays as it is. Id, key and sequence
 * never change. Throws an `UpcastError` when the outcome does not fit the later schema.
 */
export function upcastTo(heard: readonly EventDefinition[]): (event: Delivered) => Delivered {
  const targets = targetsOf(heard);
  return (event) => {
    const target = targets.get(event.type);
    return target ? { ...event, type: target.type, data: brought(event, target) } : event;
  };
}

/** For each earlier type the nearest version of it that is heard. */
function targetsOf(heard: readonly EventDefinition[]): ReadonlyMap<string, EventDefinition> {
  const asIs = new Set(heard.map(({ type }) => type));
  const nearestFirst = heard.toSorted((one, other) => earlierVersions(one).length - earlierVersions(other).length);
  const targets = new Map<string, EventDefinition>();
  for (const definition of nearestFirst) {
    for (const { type } of earlierVersions(definition))
      if (!asIs.has(type) && !targets.has(type)) targets.set(type, definition);
  }
  return targets;
}

function brought({ type, id, data }: Delivered, target: EventDefinition): unknown {
  let present: unknown;
  try {
    present = upcastData(data, type, target);
  } catch (error) {
    throw new UpcastError(`${type} ${id} could not be made a ${target.type}.`, { cause: error });
  }
  const why = target.whyUnreadable(present);
  if (why !== undefined) throw new UpcastError(`${type} ${id} was made something else than a ${target.type}: ${why}.`);
  return present;
}

/** The data of an event of `type`, step by step in the shape of `target`. */
export function upcastData(data: unknown, type: string, target: EventDefinition): unknown {
  if (type === target.type) return data;
  if (!target.earlier) throw new UpcastError(`${target.type} is not made from ${type}.`);
  return target.earlier.change(upcastData(data, type, target.earlier.from));
}
