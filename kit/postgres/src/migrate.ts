import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import pg from "pg";
import { sqlState } from "./errors.ts";
import { identifier } from "./sql.ts";

/** Migrations of one owner: numbered plain SQL files (`0001-stock.sql`) in one folder, applied in the order of their names. */
export interface MigrationSet {
  /** Who wrote them: a kit package or the service itself. Part of their identity in the record of what was applied. */
  readonly owner: string;
  readonly directory: URL;
}

export interface MigrateOptions {
  /** An administrator's connection: it may create schemas and roles. */
  readonly adminUrl: string;
  readonly schema: string;
  readonly role: string;
  /** Applied in this order: the kit's tables first, then the service's own. */
  readonly sets: readonly MigrationSet[];
}

interface MigrationFile {
  readonly owner: string;
  readonly name: string;
  readonly text: string;
  readonly checksum: string;
}

// Any constant will do; it is shared by every process that migrates this database.
const migrationLock = 7_116_305;

const connectMs = 10_000;

// Another process that migrates may take its time; one that hangs, or a session that keeps a table locked, must become
// visible as an error.
const lockMs = 120_000;

/**
 * Brings one schema up to date, each file in a transaction of its own, under a lock so that processes starting together
 * do it once. Inside a file unqualified names mean this schema, and `current_setting('onsale.role')` is the service's
 * role. The role gets the rights to read and write every table made here; a file takes back what a table must refuse.
 * A file that was applied and has changed since is an error, never applied again.
 */
export async function migrate({ adminUrl, schema, role, sets }: MigrateOptions): Promise<{ applied: string[] }> {
  const files = (await Promise.all(sets.map(readSet))).flat();
  const client = new pg.Client({
    connectionString: adminUrl,
    application_name: `migrate ${schema}`,
    connectionTimeoutMillis: connectMs,
    options: `-c lock_timeout=${lockMs}`,
  });
  // A lost connection is told to the statement under way; without a listener it would end the process.
  client.on("error", () => undefined);
  await client.connect();
  try {
    await client.query("select pg_advisory_lock($1)", [migrationLock]);
    await prepareSchema(client, identifier(schema), identifier(role));
    const before = await appliedChecksums(client, schema);
    refuseChanged(files, before);
    const applied: string[] = [];
    for (const file of files) {
      if (before.has(idOf(file))) continue;
      await apply(client, { schema, role, file });
      applied.push(idOf(file));
    }
    return { applied };
  } finally {
    await client.end();
  }
}

const idOf = ({ owner, name }: Pick<MigrationFile, "owner" | "name">): string => `${owner}/${name}`;

async function readSet({ owner, directory: given }: MigrationSet): Promise<MigrationFile[]> {
  const directory = given.href.endsWith("/") ? given : new URL(`${given.href}/`);
  const names = (await readdir(directory)).filter((name) => name.endsWith(".sql")).sort();
  return Promise.all(
    names.map(async (name) => {
      // A checkout may have turned the line ends; the migration is the same.
      const text = (await readFile(new URL(name, directory), "utf8")).replaceAll("\r\n", "\n");
      return { owner, name, text, checksum: createHash("sha256").update(text).digest("hex") };
    }),
  );
}

async function prepareSchema(client: pg.Client, schema: string, role: string): Promise<void> {
  await ensureRole(client, role);
  await client.query(`create schema if not exists ${schema}`);
  await client.query(`grant usage on schema ${schema} to ${role}`);
  await client.query(
    `alter default privileges in schema ${schema} grant select, insert, update, delete on tables to ${role}`,
  );
  await client.query(`alter default privileges in schema ${schema} grant usage, select on sequences to ${role}`);
  await client.query(
    `create table if not exists ${schema}.migration (
       owner text not null, name text not null, checksum text not null,
       applied_at timestamptz not null default now(), primary key (owner, name))`,
  );
  // The record of what was applied is the administrator's alone.
  await client.query(`revoke all on ${schema}.migration from ${role}`);
}

/** Makes the role, and lets the administrator act as it. Roles belong to the server: another database may be making it now. */
async function ensureRole(client: pg.Client, role: string): Promise<void> {
  await tolerating(["42710", "23505"], () =>
    client.query(`do $$ begin
    if not exists (select from pg_roles where rolname = '${role}') then create role ${role} nologin; end if;
  end $$`),
  );
  // XX000: the same row of the catalogue was updated by another database's migration a moment ago, to the same end.
  await tolerating(["XX000", "23505"], () =>
    client.query(`do $$ begin
    if not pg_has_role(current_user, '${role}', 'set') then grant ${role} to current_user; end if;
  end $$`),
  );
}

async function tolerating(states: readonly string[], work: () => Promise<unknown>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (!states.includes(sqlState(error) ?? "")) throw error;
  }
}

async function appliedChecksums(client: pg.Client, schema: string): Promise<Map<string, string>> {
  const { rows } = await client.query(`select owner, name, checksum from ${identifier(schema)}.migration`);
  return new Map(rows.map((row) => [idOf(row), row.checksum]));
}

function refuseChanged(files: readonly MigrationFile[], before: ReadonlyMap<string, string>): void {
  const known = new Set(files.map(idOf));
  const faults = files
    .filter((file) => before.has(idOf(file)) && before.get(idOf(file)) !== file.checksum)
    .map((file) => `${idOf(file)} was applied and has changed since`)
    .concat(
      [...before.keys()].filter((id) => !known.has(id)).map((id) => `${id} was applied and is unknown to this version`),
    );
  if (faults.length > 0) throw new OtherVersionError(faults);
}

/** What is in the database is not what this version would have put there, and it knows no way from the one to the other. */
export class OtherVersionError extends Error {
  override readonly name = "OtherVersionError";
  constructor(faults: readonly string[]) {
    super(
      `The database was migrated by another version: ${faults.join("; ")}. Go on with that version, or begin with other data.`,
    );
  }
}

async function apply(
  client: pg.Client,
  { schema, role, file }: { schema: string; role: string; file: MigrationFile },
): Promise<void> {
  await client.query("begin");
  try {
    await client.query("select set_config('search_path', $1, true), set_config('onsale.role', $2, true)", [
      schema,
      role,
    ]);
    await client.query(file.text);
    await client.query(`insert into ${identifier(schema)}.migration (owner, name, checksum) values ($1, $2, $3)`, [
      file.owner,
      file.name,
      file.checksum,
    ]);
    await client.query("commit");
  } catch (error) {
    await client.query("rollback").catch(() => undefined);
    throw new Error(`Migration ${idOf(file)} failed in schema ${schema}.`, { cause: error });
  }
}
