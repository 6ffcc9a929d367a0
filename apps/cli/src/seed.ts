import { type Command, InvalidArgumentError } from "commander";
import { type DataAndOutput, printResult, withDataAndOutput } from "./output.ts";

interface SeedOptions extends DataAndOutput {
  readonly sku: string;
  readonly units: number;
  readonly priceMinor: number;
  readonly name?: string;
}

/** What `seed -o json` prints. */
interface Seeded {
  readonly sku: string;
  readonly units: number;
  readonly priceMinor: number;
  readonly currency: string;
}

/** The shop's own currency: that of its example orders. */
const currency = "GBP";

export function register(program: Command): void {
  withDataAndOutput(program.command("seed"))
    .description("put a product into the shop, with its price and units to sell")
    .requiredOption("--sku <code>", "the product's code")
    .requiredOption("--units <number>", "pieces that come in, in addition to what is there", wholeNumber(1, 1_000_000))
    .requiredOption("--price-minor <number>", "price of one piece in pence", wholeNumber(0, 1_000_000_000))
    .option("--name <text>", "the product's name (default: its code)")
    .action(async (options: SeedOptions) => printResult(options.output, await seed(options), inWords));
}

async function seed({ data, sku, units, priceMinor, name = sku }: SeedOptions): Promise<Seeded> {
  const [{ withServer }, { openShopAsOperator }] = await Promise.all([
    import("./session.ts"),
    import("./shop-operator.ts"),
  ]);
  return await withServer(
    data,
    async (session) => {
      await using operator = openShopAsOperator(session);
      // Every run is a delivery of its own: seeding twice brings twice the units.
      await operator.publishProduct({ sku, name, priceMinor, currency });
      await operator.receiveStock({ sku, units });
      return { sku, units, priceMinor, currency };
    },
    { verb: "seed" },
  );
}

const inWords = ({ sku, units, priceMinor }: Seeded): string =>
  `${sku}: ${units} more to sell at ${currency} ${(priceMinor / 100).toFixed(2)}.`;

/** Reads an option's value as a whole number within bounds. */
export const wholeNumber =
  (minimum: number, maximum: number) =>
  (text: string): number => {
    const value = Number(text);
    if (!/^\d{1,15}$/.test(text) || value < minimum || value > maximum) {
      throw new InvalidArgumentError(`It must be a whole number from ${minimum} to ${maximum}.`);
    }
    return value;
  };
