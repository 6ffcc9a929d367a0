import { Argument, type Command } from "commander";
import { configuration } from "./configuration.ts";
import { type DataAndOutput, printResult, say, withDataAndOutput } from "./output.ts";
import { besideData, onDrillServer } from "./own-server.ts";

export function register(program: Command): void {
  withDataAndOutput(program.command("lab"))
    .description("see known failures happen, and then not")
    .addArgument(new Argument("<name>", "what to look at").choices(["locks"]))
    .action(async (_name: string, { data, output }: DataAndOutput) => {
      const { isAllShown, labInWords, labLocks } = await import("@onsale/drills");
      const { redis: url } = configuration();
      const redis = url === undefined ? { directory: besideData(data, "lab-redis") } : { url };
      const report = await onDrillServer(data, (serverUrl) => labLocks({ serverUrl, redis, say }));
      printResult(output, report, labInWords);
      if (!isAllShown(report)) process.exitCode = 1;
    });
}
