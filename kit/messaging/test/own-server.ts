/** A PostgreSQL that belongs to one test file: to be killed, restarted, copied and promoted. */

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Database, type EmbeddedPostgres, migrate, openDatabase, startEmbeddedPostgres } from "@onsale/postgres";
import { reapWhenWeDie } from "@onsale/testing";
import pg from "pg";
import { migrations } from "../src/index.ts";

// What is tested outlives processes, not power cuts. Commits stay synchronous: a killed server must know what it promised.
const settings = { fsync: "off", full_page_writes: "off", shared_buffers: "64MB", max_slot_wal_keep_size: "128MB" };

export interface OwnServer extends AsyncDisposable {
  readonly directory: string;
  readonly server: EmbeddedPostgres;
  readonly admin: pg.Pool;
  /** As the owner of a schema; through another URL than the administrator's when it is given. */
  open(schema: string, url?: string): Database;
  close(): Promise<void>;
}

/** A directory for a server, removed at the end of the run whatever happens. */
export async function serverDirectory(): Promise<{ directory: string; remove(): Promise<void> }> {
  const directory = await mkdtemp(join(tmpdir(), "onsale-test-"));
  const reaper = reapWhenWeDie(directory);
  return {
    directory,
    async remove() {
      reaper.stop();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

/** Starts a server on its directory, with the schemas `alpha`, which tells, and `beta`, which hears. */
export async function startOwnServer(directory: string, more: Record<string, string> = {}): Promise<OwnServer> {
  const server = await startEmbeddedPostgres({ directory, settings: { ...settings, ...more } });
  for (const schema of ["alpha", "beta"]) await migrateInto(server.localUrl, schema);
  const admin = new pg.Pool({ connectionString: server.localUrl, max: 6, options: "-c search_path=alpha" });
  admin.on("error", () => undefined);
  const opened: Database[] = [];
  const close = async () => {
    await Promise.all(opened.map((database) => database.close()));
    await admin.end();
    await server.stop();
  };
  return {
    directory,
    server,
    admin,
    open(schema, url = server.localUrl) {
      const database = openSchema(url, schema);
      opened.push(database);
      return database;
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}

export const openSchema = (url: string, schema: string): Database =>
  openDatabase({
    url,
    schema,
    role: `onsale_${schema}`,
    connections: 4,
    applicationName: `test ${schema}`,
    checkRows: true,
  });

export const migrateInto = (adminUrl: string, schema: string) =>
  migrate({
    adminUrl,
    schema,
    role: `onsale_${schema}`,
    sets: [migrations, { owner: schema, directory: new URL("./accounts-migrations/", import.meta.url) }],
  });
