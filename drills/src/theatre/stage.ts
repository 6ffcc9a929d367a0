/** Where a drill plays: a database of its own, with a schema that publishes and a schema that consumes. */

import { randomBytes } from "node:crypto";
import { migrations as messaging } from "@onsale/messaging";
import { type Database, migrate, openDatabase } from "@onsale/postgres";
import { migrations as saga } from "@onsale/saga";
import pg from "pg";

export interface Theatre extends AsyncDisposable {
  /** A new database with empty tables; dropped when it is let go. */
  stage(): Promise<Stage>;
}

export interface Stage extends AsyncDisposable {
  /** The administrator's URL of the database. */
  readonly url: string;
  /** For looking at both schemas, by their names. */
  readonly admin: Database;
  /** Runs statements that no service would: set-up, and the planting of faults. */
  alter(script: string): Promise<void>;
}

/** Of the service that publishes, and of the one that consumes. */
export type Schema = "source" | "sink";

/** Whose cursors say how far the outbox was read: the consumers', or those of the relay that stands between. */
export const outboxReadersOf = (kafka: object | undefined): Schema => (kafka ? "source" : "sink");

export const roleOf = (schema: Schema): string => `onsale_${schema}`;

const folders = {
  source: new URL("../../migrations/source/", import.meta.url),
  sink: new URL("../../migrations/sink/", import.meta.url),
};

/** @param serverUrl An administrator's, of the PostgreSQL server to play on. */
export async function openTheatre(serverUrl: string): Promise<Theatre> {
  const template = `drill_template_${randomBytes(6).toString("hex")}`;
  await makeTemplate(serverUrl, template);
  return {
    stage: () => openStage(serverUrl, template),
    [Symbol.asyncDispose]: () => run(serverUrl, `drop database if exists ${template} with (force)`),
  };
}

async function makeTemplate(serverUrl: string, name: string): Promise<void> {
  await run(serverUrl, `create database ${name}`);
  const adminUrl = urlOf(serverUrl, name);
  for (const schema of ["source", "sink"] as const) {
    const own = { owner: schema, directory: folders[schema] };
    await migrate({ adminUrl, schema, role: roleOf(schema), sets: [messaging, saga, own] });
  }
  await run(adminUrl, smallPartitions);
}

/** Rows of a partition: so few that partitions fill, are sealed and leave while a drill runs. */
export const partitionRows = 1_000;

const smallPartitions = partitionsOf(partitionRows);

/** As the kit makes them: a flood would run out of small ones. */
export const productionPartitions = partitionsOf(500_000);

function partitionsOf(rows: number): string {
  return `do $$ declare it record; begin
    for it in select name, lane from source.outbox_partition loop
      execute format('drop table source.%I', it.name);
    end loop;
    delete from source.outbox_partition;
    perform source.outbox_extend('online', ${rows}, 8), source.outbox_extend('bulk', ${rows}, 8);
  end $$`;
}

/** An empty database on the server; it goes when it is let go. */
export async function openScratch(
  serverUrl: string,
  purpose: string,
): Promise<AsyncDisposable & { readonly url: string }> {
  const name = `${purpose}_${randomBytes(8).toString("hex")}`;
  await run(serverUrl, `create database ${name}`);
  return {
    url: urlOf(serverUrl, name),
    [Symbol.asyncDispose]: () => run(serverUrl, `drop database if exists ${name} with (force)`),
  };
}

async function openStage(serverUrl: string, template: string): Promise<Stage> {
  const name = `drill_${randomBytes(8).toString("hex")}`;
  await run(serverUrl, `create database ${name} template ${template}`);
  const url = urlOf(serverUrl, name);
  const admin = openDatabase({ url, connections: 2, applicationName: "drill" });
  return {
    url,
    admin,
    alter: (script) => run(url, script),
    async [Symbol.asyncDispose]() {
      await admin.close();
      await run(serverUrl, `drop database if exists ${name} with (force)`);
    },
  };
}

function urlOf(serverUrl: string, database: string): string {
  const url = new URL(serverUrl);
  url.pathname = `/${database}`;
  return url.href;
}

async function run(url: string, script: string): Promise<void> {
  const client = new pg.Client({ connectionString: url, application_name: "drill" });
  client.on("error", () => undefined);
  await client.connect();
  try {
    await client.query(script);
  } finally {
    await client.end();
  }
}
