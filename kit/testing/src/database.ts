import { createHash, randomBytes } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { migrations as http } from "@onsale/http";
import { migrations as messaging } from "@onsale/messaging";
import {
  type Database,
  type DatabaseOptions,
  type MigrationSet,
  migrate,
  openDatabase,
  sqlState,
} from "@onsale/postgres";
import type { ServiceDefinition } from "@onsale/runtime";
import { migrations as saga } from "@onsale/saga";
import pg from "pg";
import { partOfThisRun } from "./part-of-this-run.ts";

/** One schema of a test database and what is migrated into it. */
export interface TestSchema {
  readonly schema: string;
  readonly sets: readonly MigrationSet[];
}

/** Services as they are composed, or one schema with the given migrations. */
export type TestDatabaseContent =
  | { readonly services: readonly Pick<ServiceDefinition, "name" | "migrations">[] }
  | TestSchema;

/** A database that belongs to one test file. */
export interface TestDatabase extends AsyncDisposable {
  /** The administrator's URL, over the server's Unix socket where it has one. */
  readonly adminUrl: string;
  /** The same over TCP. */
  tcpUrl(): Promise<string>;
  /** Opens it as the owner of one schema; closed by `close`. */
  open(schema: string, options?: Partial<DatabaseOptions>): Database;
  /** Closes what was opened and drops the database. */
  close(): Promise<void>;
}

/**
 * Makes a database of its own, migrated: a copy of a template that is made once per run for each set of migrations.
 */
export async function testDatabase(content: TestDatabaseContent): Promise<TestDatabase> {
  const serverUrl = await serverOfThisRun();
  const schemas = "services" in content ? content.services.map(schemaOf) : [content];
  const name = `test_${randomBytes(8).toString("hex")}`;
  await withAdmin(serverUrl, async (admin) => {
    await copyTemplate(admin, await ensureTemplate(admin, serverUrl, schemas), name);
  });
  const adminUrl = urlOf(serverUrl, name);
  const opened: Database[] = [];
  const close = async () => {
    await Promise.all(opened.map((database) => database.close()));
    await withAdmin(serverUrl, (admin) => admin.query(`drop database if exists ${name} with (force)`));
  };
  return {
    adminUrl,
    tcpUrl: async () => urlOf(await partOfThisRun("postgres-tcp"), name),
    open(schema, options) {
      const database = openDatabase({
        ...{
          url: adminUrl,
          schema,
          role: roleOf(schema),
          connections: 4,
          applicationName: `test ${schema}`,
          checkRows: true,
        },
        ...options,
      });
      opened.push(database);
      return database;
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}

/** The administrator's URL of the run's server, which starts when it is first asked for. */
export const serverOfThisRun = (): Promise<string> => partOfThisRun("postgres");

const roleOf = (schema: string): string => `onsale_${schema}`;

/** What a service's schema holds when the product is composed. */
const schemaOf = ({ name, migrations }: Pick<ServiceDefinition, "name" | "migrations">): TestSchema => ({
  schema: name,
  sets: [messaging, http, saga, { owner: name, directory: migrations }],
});

/** The name of the template for these schemas, made if this run has none yet; others who want it wait. */
async function ensureTemplate(admin: pg.Client, serverUrl: string, schemas: readonly TestSchema[]): Promise<string> {
  const fingerprint = await fingerprintOf(schemas);
  const name = `template_${fingerprint}`;
  const lock = `('x' || '${fingerprint}')::bit(64)::bigint`;
  await admin.query(`select pg_advisory_lock(${lock})`);
  const { rowCount } = await admin.query("select from pg_database where datname = $1 and datistemplate", [name]);
  if (rowCount === 0) {
    await admin.query(`drop database if exists ${name} with (force)`);
    await admin.query(`create database ${name}`);
    for (const { schema, sets } of schemas)
      await migrate({ adminUrl: urlOf(serverUrl, name), schema, role: roleOf(schema), sets });
    await admin.query(`alter database ${name} with is_template true`);
  }
  await admin.query(`select pg_advisory_unlock(${lock})`);
  return name;
}

/** Sixteen hexadecimal digits that change with every change of a migration. */
async function fingerprintOf(schemas: readonly TestSchema[]): Promise<string> {
  const hash = createHash("sha256");
  for (const { schema, sets } of schemas) {
    hash.update(`schema ${schema}\n`);
    for (const { owner, directory } of sets) {
      for (const name of (await readdir(directory)).sort()) {
        hash.update(`${owner}/${name}\n`).update(await readFile(new URL(name, directory)));
      }
    }
  }
  return hash.digest("hex").slice(0, 16);
}

// The session that migrated the template may take a moment to end.
const copyAttempts = 100;

async function copyTemplate(admin: pg.Client, template: string, name: string): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      await admin.query(`create database ${name} template ${template}`);
      return;
    } catch (error) {
      const beingUsed = sqlState(error) === "55006";
      if (!beingUsed || attempt === copyAttempts) throw error;
      await sleep(20);
    }
  }
}

function urlOf(serverUrl: string, database: string): string {
  const url = new URL(serverUrl);
  url.pathname = `/${database}`;
  return url.href;
}

async function withAdmin<Result>(url: string, work: (client: pg.Client) => Promise<Result>): Promise<Result> {
  const client = new pg.Client({ connectionString: url, application_name: "test databases" });
  client.on("error", () => undefined);
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}
