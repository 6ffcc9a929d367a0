import type { SagaStyle } from "@onsale/orders";
import { type Command, InvalidArgumentError, Option } from "commander";
import { type DataAndOutput, printResult, withDataAndOutput } from "../output.ts";
import { wholeNumber } from "../seed.ts";
import { type PaymentChoice, paymentChoices } from "./payment.ts";
import type { StockShare } from "./plan.ts";
import type { ReplayReport } from "./report.ts";

/** The command line of `replay`, understood. */
export interface ReplayCommand extends DataAndOutput {
  readonly stockShare: StockShare;
  readonly buyers: number;
  readonly rate?: number;
  readonly faults?: true;
  readonly inventory: "postgres" | "redis";
  readonly pay: PaymentChoice;
  /** Absent: as the shop has it. */
  readonly saga?: SagaStyle;
}

export function register(program: Command): void {
  withDataAndOutput(program.command("replay"))
    .description("send real invoices through the public interface until every order has ended, then audit the books")
    .argument("[file]", "a CSV of invoices (default: four days of a gift-ware shop, in examples/online-retail)")
    .option("--stock-share <share>", "share of what the file sells that the shop gets, per product", toShare, {
      millionths: 1_000_000,
    })
    .option("--buyers <number>", "buyers at once, each waiting for the end of its order", wholeNumber(1, 1_000), 64)
    .option("--rate <number>", "orders begun per second, however many are under way, instead of waiting buyers", toRate)
    .option("--faults", "let the payment provider fail, hang and repeat itself meanwhile")
    .addOption(
      new Option("--pay <method>", "how customers pay; guests have a card").choices(paymentChoices).default("card"),
    )
    .addOption(
      new Option("--inventory <store>", "whether a gate in Redis has to stand before the stock")
        .choices(["postgres", "redis"])
        .default("postgres", "as the shop has it"),
    )
    .addOption(
      new Option(
        "--saga <style>",
        "who leads an order's steps: the orders service, or nobody (default: as the shop was begun)",
      ).choices(["orchestrated", "choreographed"]),
    )
    .action(async (file: string | undefined, options: ReplayCommand) => {
      const { performReplay } = await import("./perform.ts");
      const { isClean, inWords } = await import("./report.ts");
      const report: ReplayReport = await performReplay(file, options);
      if (!isClean(report)) process.exitCode = 1;
      printResult(options.output, report, inWords);
    });
}

function toShare(text: string): StockShare {
  const share = Number(text);
  if (!/^\d(\.\d{1,6})?$/.test(text) || share > 1) throw new InvalidArgumentError("It must be a number from 0 to 1.");
  return { millionths: Math.round(share * 1_000_000) };
}

function toRate(text: string): number {
  const rate = Number(text);
  if (!/^\d{1,5}(\.\d{1,3})?$/.test(text) || rate <= 0) {
    throw new InvalidArgumentError("It must be a number of orders per second above 0, at most 99999.");
  }
  return rate;
}
