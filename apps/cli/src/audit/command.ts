import type { Command } from "commander";
import { type DataAndOutput, printResult, withDataAndOutput } from "../output.ts";

export function register(program: Command): void {
  withDataAndOutput(program.command("audit"))
    .description("check every invariant over all stores and the payment provider's own ledger")
    .action(async ({ data, output }: DataAndOutput) => {
      const [{ withServer }, { audit }, { tellChecks, inWords }] = await Promise.all([
        import("../session.ts"),
        import("./audit.ts"),
        import("./words.ts"),
      ]);
      const report = await withServer(data, (session) => audit(session), { verb: "audit", onlyBegun: true });
      tellChecks(report);
      if (report.violations.length > 0) process.exitCode = 1;
      printResult(output, report, inWords);
    });
}
