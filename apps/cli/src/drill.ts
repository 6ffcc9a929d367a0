import { dirname, join } from "node:path";
import type { DrillReport } from "@onsale/drills";
import { Argument, type Command } from "commander";
import { dataFolder } from "./data-folder.ts";
import { type DataAndOutput, printResult, say, withDataAndOutput } from "./output.ts";
import { wholeNumber } from "./seed.ts";

interface DrillOptions extends DataAndOutput {
  readonly rounds: number;
  readonly from: number;
  readonly seed: number;
}

export function register(program: Command): void {
  withDataAndOutput(program.command("drill"))
    .description("put the product under load, break parts of it, and see what must hold")
    .addArgument(new Argument("<name>", "what to go through").choices(["kill"]))
    .option("--rounds <number>", "rounds to play", wholeNumber(1, 1_000_000), 14)
    .option("--from <number>", "first round, so that a long count can be done in pieces", wholeNumber(1, 1_000_000), 1)
    .option("--seed <number>", "decides who dies when", wholeNumber(0, 1_000_000_000), 1)
    .action(async (_name: string, options: DrillOptions) => {
      const [report, { inWords }] = await Promise.all([kill(options), import("@onsale/drills")]);
      printResult(options.output, report, inWords);
      if (report.verdict === "fail") process.exitCode = 1;
    });
}

async function kill({ data, rounds, from, seed }: DrillOptions): Promise<DrillReport> {
  const { drillKill } = await import("@onsale/drills");
  return await drillKill({ server: { directory: serverFolder(data) }, rounds, from, seed, say });
}

/** Drills break things, so they do it on a server of their own, beside the shop's data and never in it. */
const serverFolder = (data: string | undefined): string => join(dirname(dataFolder(data).root), "drill-postgres");
