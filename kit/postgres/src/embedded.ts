import { mkdir, readFile, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { type Account, chooseAccount } from "./embedded/account.ts";
import { type Binaries, locateBinaries } from "./embedded/binaries.ts";
import { administrator, type Cluster, databaseName, openCluster } from "./embedded/cluster.ts";
import { lockDirectory } from "./embedded/directory-lock.ts";
import { endLeftovers, PortTakenError, startPostmaster, stopPostmaster } from "./embedded/postmaster.ts";
import { serverSettings } from "./embedded/settings.ts";

export interface EmbeddedPostgresOptions {
  /** Where the cluster, its password and its log lie. Made when absent; one living process at a time may use it. */
  readonly directory: string;
  /** The port to listen on; an error when it is taken. Absent: a free one is chosen, and kept as long as it stays free. */
  readonly port?: number;
  /** Settings in place of ours, by name; what a test server turns off. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Default: `postgres.log` in the directory. */
  readonly logFile?: string;
}

export interface EmbeddedPostgres {
  /** The administrator's URL of the database `onsale`; it holds the password. */
  readonly url: string;
  readonly port: number;
  /** Process id of the postmaster. */
  readonly pid: number;
  /** Ends all sessions and stops the server, within 25 s at the worst. The data stays. */
  stop(): Promise<void>;
}

/**
 * Starts PostgreSQL from the binaries of the npm registry, making its cluster on the first start, and resolves when it
 * accepts connections. What an earlier run left behind (a postmaster whose Node process was killed, sessions without
 * postmaster, a stale process id, half a cluster) is cleared away first. Throws `EmbeddedPostgresInUseError` while
 * another process uses the directory.
 */
export async function startEmbeddedPostgres(options: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> {
  const directory = resolve(options.directory);
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const lock = lockDirectory(directory);
  try {
    const binaries = await locateBinaries(directory);
    await endLeftovers(join(directory, "data"));
    const account = await chooseAccount(directory, binaries);
    const cluster = await openCluster(directory, account, binaries);
    const { pid, port } = await startOnFreePort({ ...options, directory }, cluster, account, binaries);
    const url = urlOf(cluster, port, databaseName);
    try {
      await ensureDatabase(cluster, port);
    } catch (error) {
      await stopPostmaster(cluster.data, pid);
      throw error;
    }
    return {
      url,
      port,
      pid,
      async stop() {
        await stopPostmaster(cluster.data, pid);
        lock.release();
      },
    };
  } catch (error) {
    lock.release();
    throw error;
  }
}

const urlOf = ({ password }: Cluster, port: number, database: string): string =>
  `postgres://${administrator}:${password}@127.0.0.1:${port}/${database}`;

// Between finding a port free and taking it another program can take it; so often in a row it is something else.
const portAttempts = 5;

async function startOnFreePort(
  options: EmbeddedPostgresOptions,
  cluster: Cluster,
  account: Account,
  binaries: Binaries,
) {
  const portFile = join(options.directory, "port");
  const remembered = Number(await readFile(portFile, "utf8").catch(() => "0"));
  for (let attempt = 1; ; attempt++) {
    const port = options.port ?? (await freePort(attempt === 1 ? remembered : 0));
    try {
      const { pid } = await startPostmaster({
        data: cluster.data,
        port,
        settings: { ...serverSettings, ...options.settings },
        logFile: options.logFile ?? join(options.directory, "postgres.log"),
        account,
        binaries,
      });
      if (port !== remembered) await writeFile(portFile, `${port}\n`);
      return { pid, port };
    } catch (error) {
      if (!(error instanceof PortTakenError) || options.port !== undefined || attempt === portAttempts) throw error;
    }
  }
}

/** `wanted` if it is free, else any free port. */
async function freePort(wanted: number): Promise<number> {
  const server = createServer();
  const listening = (port: number) =>
    new Promise<void>((done, failed) => server.once("error", failed).listen({ port, host: "127.0.0.1" }, () => done()));
  await listening(wanted).catch(() => listening(0));
  const address = server.address();
  await new Promise((done) => server.close(done));
  if (address === null || typeof address === "string") throw new Error("The system gave no free port.");
  return address.port;
}

const connectMs = 10_000;

/** Connects to the database, which proves that the server works; makes it on the first start. */
async function ensureDatabase(cluster: Cluster, port: number): Promise<void> {
  const deadline = performance.now() + connectMs;
  for (;;) {
    try {
      return await withClient(urlOf(cluster, port, databaseName), async () => undefined);
    } catch (error) {
      const { code } = error as { code?: string };
      if (code === "3D000")
        await withClient(urlOf(cluster, port, "postgres"), (client) => client.query(`create database ${databaseName}`));
      else if (code !== "57P03" && code !== "ECONNREFUSED") throw error;
      if (performance.now() > deadline) throw error;
      await sleep(20);
    }
  }
}

async function withClient<Result>(url: string, work: (client: pg.Client) => Promise<Result>): Promise<Result> {
  const client = new pg.Client({
    connectionString: url,
    connectionTimeoutMillis: connectMs,
    application_name: "embedded server",
  });
  client.on("error", () => undefined);
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}
