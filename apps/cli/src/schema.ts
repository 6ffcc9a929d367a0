import type { Command } from "commander";
import { printResult, say, withOutput } from "./output.ts";
import type { CheckedSchemas } from "./schema-check.ts";

interface CheckOptions {
  readonly against?: string;
  readonly output: "pretty" | "json";
}

export function register(program: Command): void {
  const schema = program.command("schema").description("the shapes of events, and what was promised about them");
  withOutput(schema.command("check"))
    .description("hold every event's definition against its frozen shapes, by the type's rule")
    .option("--against <ref>", "the frozen shapes of this commit or branch (default: those of the working tree)")
    .action(async ({ against, output }: CheckOptions) => {
      const { noteUnfitSamples } = await import("@onsale/messaging");
      // Before the definitions are loaded: a changed shape whose sample was forgotten is judged as any other.
      const unfitSamples = noteUnfitSamples();
      const { checkSchemas } = await import("./schema-check.ts");
      const report = { ...(await checkSchemas(against)), unfitSamples };
      for (const broken of report.breaks) say(inFull(broken));
      for (const type of unfitSamples) say(`The sample of ${type} does not fit its schema.`);
      if (report.breaks.length + unfitSamples.length > 0) process.exitCode = 1;
      printResult(output, report, inWords);
    });
}

const inFull = ({ type, path, rule, what, breaks }: CheckedSchemas["breaks"][number]): string =>
  `${type}${path} breaks ${rule}: ${what}. ${breaks.length > 0 ? `Breaks ${breaks.join(", ")}.` : "Nobody hears it."}`;

const inWords = ({ checked, breaks, added }: CheckedSchemas): string =>
  [
    `${checked} types held against their frozen shapes; ${breaks.length} broken promises.`,
    ...(added.length > 0 ? [`Not frozen there yet: ${added.join(", ")}.`] : []),
  ].join("\n");
