import type { SagaStyle } from "@onsale/orders";
import { readSagaStyle } from "@onsale/orders/saga-style";
import { openDatabase } from "@onsale/postgres";

/** Who leads the orders of the shop with this database. */
export async function begunSaga(databaseUrl: string): Promise<SagaStyle> {
  const database = openDatabase({ url: databaseUrl, connections: 1, applicationName: "saga style" });
  try {
    return await readSagaStyle(database);
  } finally {
    await database.close();
  }
}
