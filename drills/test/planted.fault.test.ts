import { serverOfThisRun } from "@onsale/testing";
import { expect, test } from "vitest";
import { faultNames } from "../src/fault-names.ts";
import { drillPlanted } from "../src/planted.ts";

test("each planted fault is caught by the kill drill's own checks, which are green without it", async () => {
  const words: string[] = [];
  const say = (told: string) => void words.push(told);
  const report = await drillPlanted({ server: { url: await serverOfThisRun() }, seed: 1, say });
  console.log(words.join("\n"));
  for (const { id, violations } of report.invariants) expect(violations, id).toEqual([]);
  expect(report.figures).toMatchObject({ planted: faultNames.length, caught: faultNames.length });
}, 1_200_000);
