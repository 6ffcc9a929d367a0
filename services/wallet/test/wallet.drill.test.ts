import { sql } from "@onsale/postgres";
import { everyCrashPoint } from "@onsale/testing";
import { describe, test } from "vitest";
import { expirePoints } from "../src/expire-points.ts";
import { content, returned } from "./books.ts";
import { crashTimeoutMs, ends, everyCrashOf, filled, held, orders, outcome, spent } from "./crashes.ts";

describe("every crash point", { timeout: crashTimeoutMs }, () => {
  test("holding", async () => {
    await everyCrashOf("hold-points", orders, filled);
  });

  test("spending and earning", async () => {
    await everyCrashOf("confirm-points", ends, held);
  });

  test("giving back for returns", async () => {
    const back = [
      returned(1, 1, { pointsMinor: 20, refundMinor: 300 }),
      returned(1, 2, { pointsMinor: 20 }),
      returned(4, 3, { refundMinor: 500 }),
    ];
    await everyCrashOf("give-back-points", back, spent);
  });

  test("ending points", async () => {
    await everyCrashPoint({
      ...{ content, schema: "wallet", outcome },
      async prepare(database) {
        await filled(database);
        await database.execute(heardSql, []);
      },
      deliver: async (database) => {
        await database.transaction((tx) => expirePoints(tx, 100));
      },
    });
  });
});

const heardSql = sql("test.wallet-heard", { takes: [], gives: {} })`
  insert into wallet.reader_cursor (reader, source, lane, watermark, system_identifier)
  values ('wallet', 'orders', 'online', clock_timestamp(), 1)`;
