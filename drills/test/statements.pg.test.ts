import { declaredStatements, findMisdeclared, openDescriber } from "@onsale/postgres";
import { serverOfThisRun } from "@onsale/testing";
import { expect, test } from "vitest";
import "../src/theatre/consumer.ts";
import "../src/flood/bulk-flood.ts";
import "../src/steady/failing-key.ts";
import "../src/kill/moments.ts";
import "../src/steady/old-transactions.ts";
import "../src/theatre/writer.ts";
import { plantedScripts } from "../src/theatre/consumer-faults.ts";
import { openTheatre } from "../src/theatre/stage.ts";

test("every statement of the drills takes and gives what it is declared to", async () => {
  await using theatre = await openTheatre(await serverOfThisRun());
  await using stage = await theatre.stage();
  for (const script of Object.values(plantedScripts)) await stage.alter(script("sink"));
  const statements = declaredStatements().filter(({ name }) => name.startsWith("drills."));
  expect(statements.length).toBeGreaterThan(20);
  const faults: string[][] = [];
  for (const schema of ["source", "sink"]) {
    await using describer = await openDescriber({ url: stage.url, schema });
    faults.push(await findMisdeclared(describer, statements));
  }
  // A statement belongs to one of the two schemas; only what is wrong in both is wrong.
  const everywhere = (faults[0] ?? []).filter((fault) => faults[1]?.some((it) => nameIn(it) === nameIn(fault)));
  expect(everywhere).toEqual([]);
});

const nameIn = (fault: string): string => fault.slice(0, fault.indexOf(":"));
