import { databaseNow, openDatabase } from "@onsale/postgres";
import { Type } from "typebox";
import type { DataFolder } from "./data-folder.ts";
import { readJsonFile, writeJsonFile } from "./json-file.ts";

const Choice = Type.Object({ database: Type.String() });
const embedded = "embedded";

/** The shop's database is not the one that the rest of its data belongs to, or can't be used. */
export class DatabaseChoiceError extends Error {
  override readonly name = "DatabaseChoiceError";
}

/**
 * Sees to it that a folder is always used with the database that it was begun with: the provider's ledger and the
 * journals in it are about that one, and beside another every audit would find money that nobody took.
 * @param url The existing PostgreSQL that the configuration names, if any.
 */
export async function keepDatabaseChoice(data: DataFolder, url: string | undefined): Promise<void> {
  const wanted = url === undefined ? embedded : addressOf(url);
  const before = await readJsonFile(data.databaseFile, Choice);
  if (before !== undefined && before.database !== wanted)
    throw new DatabaseChoiceError(
      `${data.root} was begun with ${inWords(before.database)} and can't go on with ${inWords(wanted)}. Choose another folder with --data; if it is the same database at a new address, remove ${data.databaseFile}.`,
    );
  if (url !== undefined) await reach(url);
  writeJsonFile(data.databaseFile, { database: wanted });
}

const inWords = (choice: string): string =>
  choice === embedded ? "the embedded PostgreSQL" : `the PostgreSQL at ${choice}`;

/** Without user and password. */
function addressOf(url: string): string {
  const { hostname, port, pathname } = new URL(url);
  return `${hostname}:${port || "5432"}${pathname}`;
}

async function reach(url: string): Promise<void> {
  const database = openDatabase({ url, connections: 1, applicationName: "onsale up" });
  try {
    await databaseNow(database);
  } catch (error) {
    throw new DatabaseChoiceError(
      `ONSALE_DATABASE_URL: ${addressOf(url)} can't be used: ${error instanceof Error ? error.message || error.cause : error}`,
      { cause: error },
    );
  } finally {
    await database.close();
  }
}
