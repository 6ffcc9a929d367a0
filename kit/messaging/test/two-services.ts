import type { Database } from "@onsale/postgres";
import { type TestDatabase, testDatabase } from "@onsale/testing";
import pg from "pg";

/** A service that tells and one that hears, on a database of their own. */
export interface TwoServices extends AsyncDisposable {
  readonly home: TestDatabase;
  /** Tells. */
  readonly alpha: Database;
  /** Hears. */
  readonly beta: Database;
  /** The administrator's, in the schema of who hears. */
  readonly admin: pg.Pool;
}

export async function twoServices(): Promise<TwoServices> {
  const migrations = new URL("./accounts-migrations/", import.meta.url);
  const home = await testDatabase({
    services: [
      { name: "alpha", migrations },
      { name: "beta", migrations },
    ],
  });
  const admin = new pg.Pool({ connectionString: home.adminUrl, max: 2, options: "-c search_path=beta" });
  admin.on("error", () => undefined);
  return {
    home,
    alpha: home.open("alpha"),
    beta: home.open("beta"),
    admin,
    async [Symbol.asyncDispose]() {
      await admin.end();
      await home.close();
    },
  };
}
