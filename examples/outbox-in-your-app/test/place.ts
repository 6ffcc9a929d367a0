import { testDatabase, waitFor } from "@onsale/testing";
import pg from "pg";

/** An empty database, whose replication slots go with it: it could not be dropped while they are there. */
export async function withDatabase<Result>(work: (databaseUrl: string) => Promise<Result>): Promise<Result> {
  await using database = await testDatabase({ schema: "empty", sets: [] });
  try {
    return await work(database.adminUrl);
  } finally {
    await dropSlots(database.adminUrl);
  }
}

// The server notices within a moment that the reader of a slot was killed; until then the slot can't be dropped.
const dropSlots = (databaseUrl: string): Promise<unknown> =>
  waitFor(
    async () => {
      const client = new pg.Client({ connectionString: databaseUrl });
      await client.connect();
      try {
        await client.query(
          "select pg_drop_replication_slot(slot_name) from pg_replication_slots where database = current_database()",
        );
        return true;
      } finally {
        await client.end();
      }
    },
    { what: "the end of the replication slots" },
  );
