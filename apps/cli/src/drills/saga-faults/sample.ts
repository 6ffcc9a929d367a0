/** A part of the table for continuous integration, chosen by the seed. */

import type { Random } from "@onsale/drills";
import type { Cell } from "./attempts.ts";
import { isDeath, isLate } from "./steps.ts";

const brisk = 12;
const late = 4;

/**
 * Some cells that are failed once, delivered twice or in the wrong order; some of one of the two faults that last; and two
 * deaths, one before and one after its commit, with every saga that has the step.
 */
export function sample(cells: readonly Cell[], random: Random): Cell[] {
  const [lasting] = random.shuffled([...new Set(cells.map(({ fault }) => fault).filter(isLate))]);
  const of = (isMeant: (cell: Cell) => boolean) => random.shuffled(cells.filter(isMeant));
  const deaths = ["killed before its commit", "killed after its commit"].flatMap((fault) => {
    const [one] = of((cell) => cell.fault === fault && cell.scenario.weather === "fair");
    return cells.filter((cell) => cell.fault === fault && cell.step === one?.step && cell.scenario.weather === "fair");
  });
  return [
    ...of(({ fault, scenario }) => !isDeath(fault) && !isLate(fault) && scenario.weather === "fair").slice(0, brisk),
    ...of(({ fault, scenario }) => fault === lasting && scenario.weather === "fair").slice(0, late),
    ...deaths,
  ];
}
