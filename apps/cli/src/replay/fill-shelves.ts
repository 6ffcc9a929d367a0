import { keyOf, playId } from "./identity.ts";
import { type Product, stockOf } from "./plan.ts";
import type { Run } from "./run.ts";

/** Products set up at once: enough to keep the shop busy, few enough that its own queue stays short. */
const width = 32;
/** Units that one receipt may bring. */
const maximumUnitsPerReceipt = 1_000_000;

/** Publishes every product of the file with its price and receives its stock, once for all runs of the play. */
export async function fillShelves(run: Run): Promise<void> {
  if (run.memory.stocked) return;
  const { plan, play, file } = run.options;
  if (run.journal.entries.length === 0) await run.journal.append({ kind: "play", play: playId(play), file });
  await run.each("Filling the shelves", [...plan.products.values()], width, async (product) => {
    await publish(run, product);
    await receive(run, product);
  });
  await run.journal.append({ kind: "stocked" });
}

async function publish(run: Run, { sku, name, priceMinor }: Product): Promise<void> {
  const { play, currency } = run.options;
  const call = { accessToken: await run.parts.operator(), idempotencyKey: keyOf(play, "product", sku) };
  run.noteChange(await run.parts.shop.publishProduct(call, { sku, name, priceMinor, currency }));
}

async function receive(run: Run, product: Product): Promise<void> {
  const { play } = run.options;
  const { sku } = product;
  let left = stockOf(product, play.stockShare);
  for (let receipt = 1; left > 0; receipt++) {
    const units = Math.min(left, maximumUnitsPerReceipt);
    const call = {
      accessToken: await run.parts.operator(),
      idempotencyKey: keyOf(play, "receipt", sku, String(receipt)),
    };
    run.noteChange(await run.parts.shop.receiveStock(call, { sku, units }));
    left -= units;
  }
}
