import type { Command } from "commander";
import { type DataAndOutput, printResult, withDataAndOutput } from "./output.ts";

/** What `fairness SKU -o json` prints, as inventory tells it. */
interface Fairness {
  readonly sku: string;
  readonly arrivals: number;
  readonly granted: number;
  readonly refused: number;
  readonly inversions: number;
  readonly wronglyRefused: number;
  readonly firstRefusedArrival: number | null;
  readonly lastGrantedArrival: number | null;
  readonly complete: boolean;
}

export function register(program: Command): void {
  withDataAndOutput(program.command("fairness"))
    .description(
      "who came and who was served, for the last units of a product; exit code 1 where somebody was overtaken",
    )
    .argument("<sku>", "the product's code")
    .action(report);
}

async function report(sku: string, { data, output }: DataAndOutput): Promise<void> {
  const { operating } = await import("./operate/operations-api.ts");
  const fairness = await operating(data, "fairness", (api) =>
    api.get<Fairness>(`stock/${encodeURIComponent(sku)}/fairness`),
  );
  printResult(output, fairness, inWords);
  if (fairness.inversions > 0 || fairness.wronglyRefused > 0 || !fairness.complete) process.exitCode = 1;
}

function inWords({ sku, arrivals, granted, refused, inversions, wronglyRefused, ...tickets }: Fairness): string {
  const { firstRefusedArrival, lastGrantedArrival, complete } = tickets;
  return [
    `${sku}: ${arrivals} orders came, ${granted} were granted units, ${refused} were told that it is sold out`,
    `  first refused: ticket ${firstRefusedArrival ?? "none"}, last granted: ticket ${lastGrantedArrival ?? "none"}`,
    `  ${inversions} overtook somebody who would have fitted, ${wronglyRefused} were refused though there was enough`,
    ...(complete ? [] : ["  more orders overtook one another than were compared"]),
  ].join("\n");
}
