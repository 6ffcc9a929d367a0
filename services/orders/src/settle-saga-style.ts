import type { Database } from "@onsale/postgres";
import type { SagaStyle } from "./order-saga.ts";
import { keepSagaStyle } from "./store/saga-style.ts";

/** The shop's data was begun in another style. */
export class SagaStyleError extends Error {
  override readonly name = "SagaStyleError";
}

/**
 * Writes down in which style the data begins. In the other one nobody hears what would take an order under way on, and who
 * no longer reads an outbox holds its partitions for ever: so it stays.
 * @throws {SagaStyleError} when it was begun in the other one.
 */
export async function settleSagaStyle(database: Database, style: SagaStyle): Promise<void> {
  const begun = await database.transaction((tx) => keepSagaStyle(tx, style));
  if (begun === style) return;
  throw new SagaStyleError(
    `The saga can't be ${style}: this shop's data was begun ${begun}, and who hears whom stays as it was. Leave ONSALE_SAGA out or set it to ${begun}, or begin another shop with --data.`,
  );
}
