/** One PostgreSQL for a file of behaviours, and a fresh database on it for each of them. */

import { type Database, openDatabase, startEmbeddedPostgres } from "@onsale/postgres";
import pg from "pg";
import { migrateInto, serverDirectory } from "../own-server.ts";

/** A fresh database with the schemas `alpha`, which tells, and `beta`, which hears and writes what it did into `beta.effect`. */
export interface Place extends AsyncDisposable {
  readonly url: string;
  readonly admin: pg.Pool;
  open(schema: "alpha" | "beta", applicationName?: string): Database;
}

export interface House {
  place(): Promise<Place>;
  close(): Promise<void>;
}

// What is tested outlives processes, not power cuts. Commits stay synchronous: what was committed is in the log.
const settings = { fsync: "off", full_page_writes: "off", shared_buffers: "64MB" };

const template = "conformance_template";

/** A server of its own: on a shared one a slot could only be made once the open transactions of other files had ended. */
export async function openHouse(): Promise<House> {
  const { directory, remove } = await serverDirectory();
  const server = await startEmbeddedPostgres({ directory, settings });
  const admin = new pg.Pool({ connectionString: server.localUrl, max: 1 });
  admin.on("error", () => undefined);
  await makeTemplate(admin, server.localUrl);
  let places = 0;
  return {
    async place() {
      const name = `place_${++places}`;
      await admin.query(`create database ${name} template ${template} strategy file_copy`);
      return openPlace(urlOf(server.localUrl, name), () => forget(admin, name));
    },
    async close() {
      await admin.end();
      await server.stop();
      await remove();
    },
  };
}

async function makeTemplate(admin: pg.Pool, serverUrl: string): Promise<void> {
  await admin.query(`create database ${template}`);
  const url = urlOf(serverUrl, template);
  for (const schema of ["alpha", "beta"]) await migrateInto(url, schema);
  const inside = new pg.Client({ connectionString: url });
  await inside.connect();
  await inside.query(`
    create table beta.effect (
      position bigint generated always as identity primary key,
      owner text not null, id uuid not null, key text not null, sequence bigint not null);
    grant select, insert on beta.effect to onsale_beta`);
  await inside.end();
}

function openPlace(url: string, forgetDatabase: () => Promise<void>): Place {
  const admin = new pg.Pool({ connectionString: url, max: 6, options: "-c search_path=beta" });
  admin.on("error", () => undefined);
  const opened: Database[] = [];
  return {
    url,
    admin,
    open(schema, applicationName = `${schema} of a behaviour`) {
      const role = `onsale_${schema}`;
      const database = openDatabase({ url, schema, role, connections: 4, applicationName, checkRows: true });
      opened.push(database);
      return database;
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(opened.map((database) => database.close()));
      await admin.end();
      await forgetDatabase();
    },
  };
}

/** Slots first: a database that has some can't be dropped. */
async function forget(admin: pg.Pool, name: string): Promise<void> {
  await admin.query(`
    do $$ begin
      perform pg_terminate_backend(active_pid, 5000) from pg_replication_slots
        where database = '${name}' and active_pid is not null;
      perform pg_drop_replication_slot(slot_name) from pg_replication_slots where database = '${name}';
    end $$`);
  await admin.query(`drop database ${name} with (force)`);
}

function urlOf(serverUrl: string, database: string): string {
  const url = new URL(serverUrl);
  url.pathname = `/${database}`;
  return url.href;
}
