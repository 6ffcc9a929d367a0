import { serverOfThisRun } from "@onsale/testing";
import { expect } from "vitest";
import { drillPlanted } from "../src/kill/planted.ts";
import type { KafkaPlace } from "../src/theatre/assignment.ts";
import type { FaultName } from "../src/theatre/fault-names.ts";

/** Plants these faults, expects that no invariant of the drill is broken, and gives its figures. */
export async function seeCaught(faults: readonly FaultName[], kafka?: KafkaPlace): Promise<object> {
  const words: string[] = [];
  const say = (told: string) => void words.push(told);
  const report = await drillPlanted({ serverUrl: await serverOfThisRun(), seed: 1, say, faults, kafka });
  console.log(words.join("\n"));
  for (const { id, violations } of report.invariants) expect(violations, id).toEqual([]);
  return report.figures;
}
