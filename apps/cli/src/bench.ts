import type { BenchReport } from "@onsale/bench";
import { Argument, type Command } from "commander";
import { checkout } from "./checkout.ts";
import { configuration } from "./configuration.ts";
import { dataFolder } from "./data-folder.ts";
import { type DataAndOutput, printResult, say, withDataAndOutput } from "./output.ts";
import { wholeNumber } from "./seed.ts";

interface BenchOptions extends DataAndOutput {
  readonly seconds: number;
  readonly pairs: number;
}

export function register(program: Command): void {
  withDataAndOutput(program.command("bench"))
    .description("measure the product beside its limits, on this machine")
    .addArgument(new Argument("<name>", "what to measure").choices(["orders", "install"]))
    .option("--seconds <number>", "seconds that orders are counted in each pair", wholeNumber(1, 3_600), 60)
    .option("--pairs <number>", "measurements of ours and of the limit, in turn", wholeNumber(1, 100), 5)
    .action(async (name: string, options: BenchOptions) => {
      const { tableOf } = await import("@onsale/bench");
      const report = name === "install" ? await install() : await orders(options);
      printResult(options.output, report, tableOf);
      if (report.rows.length === 0 || report.rows.some(({ met }) => !met)) process.exitCode = 1;
    });
}

async function install(): Promise<BenchReport> {
  const { benchInstall } = await import("@onsale/bench");
  return await benchInstall(checkout, say);
}

/** Measures, then audits: a rate at which the books are wrong is no rate. */
async function orders({ data, seconds, pairs }: BenchOptions): Promise<BenchReport> {
  const [{ withServer }, { benchOrders }, { audit }, { readLivingServer }] = await Promise.all([
    import("./session.ts"),
    import("@onsale/bench"),
    import("./audit/audit.ts"),
    import("./server-file.ts"),
  ]);
  return await withServer(
    data,
    async (session) => {
      const server = await readLivingServer(dataFolder(data, configuration()));
      const report = await benchOrders({ ...session, pid: server?.server.pid ?? process.pid }, { seconds, pairs, say });
      const { violations } = await audit(session);
      for (const { check, what } of violations) say(`violation of ${check}: ${what}`);
      const rows = violations.length === 0 ? report.rows : report.rows.map((row) => ({ ...row, met: false }));
      return { ...report, rows, details: { ...report.details, violations } };
    },
    "bench",
  );
}
