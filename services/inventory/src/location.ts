/** Where goods lie, and from where a line of an order is served. */

import type { Sku } from "@onsale/contracts/ids";
import type { Units } from "@onsale/contracts/money";

/** A merchant's own code of a place: a store, a warehouse, a hall. */
export type Location = string;

/** Where goods lie in a shop that names no places. */
export const mainLocation: Location = "main";

/** Units at one location. */
export interface Place {
  readonly location: Location;
  readonly units: Units;
}

/** One line, and where its SKU lies: every place has something, and together they have enough. In the shop's own order. */
export interface LineToServe {
  readonly sku: Sku;
  readonly units: Units;
  readonly places: readonly Place[];
}

/** Picks where the units of a line are taken from. Pure: the same line and places give the same answer. */
export type LocationRule = (line: LineToServe) => readonly Place[];

/** One location that has all of it, the first that does; else as few as there can be, those with the most first. */
export const fewestLocations: LocationRule = ({ units, places }) => {
  const whole = places.find((place) => place.units >= units);
  if (whole) return [{ location: whole.location, units }];
  let missing = units;
  const byMost = places.toSorted((one, other) => other.units - one.units);
  return byMost.flatMap(({ location, units: there }) => {
    const taken = Math.min(there, missing);
    missing -= taken;
    return taken > 0 ? [{ location, units: taken }] : [];
  });
};

/** Picks by a rule that others may have written: one that takes what is not there, or not all of it, is a fault. */
export function pick(rule: LocationRule, line: LineToServe): readonly Place[] {
  const picked = rule(line);
  const there = new Map(line.places.map(({ location, units }) => [location, units]));
  let missing = line.units;
  for (const { location, units } of picked) {
    const left = (there.get(location) ?? 0) - units;
    if (!Number.isInteger(units) || units < 1 || left < 0)
      throw new Error(`The rule of locations took ${units} of SKU ${line.sku} from ${location}, which has fewer.`);
    there.set(location, left);
    missing -= units;
  }
  if (missing !== 0) throw new Error(`The rule of locations picked ${line.units - missing} of ${line.units} units.`);
  if (new Set(picked.map(({ location }) => location)).size < picked.length)
    throw new Error("The rule of locations named a location twice.");
  return picked;
}
