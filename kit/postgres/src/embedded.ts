import { mkdir, readFile, rename, stat, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { chooseAccount } from "./embedded/account.ts";
import { locateBinaries } from "./embedded/binaries.ts";
import { administrator, type Cluster, databaseName, openCluster } from "./embedded/cluster.ts";
import { lockDirectory } from "./embedded/directory-lock.ts";
import {
  endLeftovers,
  LeftoversError,
  PortTakenError,
  type Postmaster,
  type PostmasterOptions,
  startPostmaster,
  stopPostmaster,
} from "./embedded/postmaster.ts";
import { serverSettings } from "./embedded/settings.ts";
import { makeSocketFolder } from "./embedded/socket.ts";

export interface EmbeddedPostgresOptions {
  /** Where the cluster, its password and its log lie. Made when absent; one living process at a time may use it. */
  readonly directory: string;
  /** The port to listen on; an error when it is taken. Absent: a free one is chosen, and kept as long as it stays free. */
  readonly port?: number;
  /** Settings in place of ours, by name; what a test server turns off. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Default: `postgres.log` in the directory. */
  readonly logFile?: string;
  /** Told in words when the server ended by itself, when it runs again, and why it did not start again. */
  readonly onIncident?: (what: string) => void;
}

export interface EmbeddedPostgres {
  /** The administrator's URL of the database `onsale`, for every program on this machine; it holds the password. */
  readonly url: string;
  /** The same over the server's Unix socket, which is faster; `url` where there is none. For programs of this user. */
  readonly localUrl: string;
  readonly port: number;
  /** Process id of the postmaster; another one after the server ended by itself and was started again. */
  readonly pid: number;
  /** Ends all sessions and stops the server, within 25 s at the worst. The data stays. */
  stop(): Promise<void>;
}

/**
 * Starts PostgreSQL from the binaries of the npm registry, making its cluster on the first start, and resolves when it
 * accepts connections. What an earlier run left behind (a postmaster whose Node process was killed, sessions without
 * postmaster, a stale process id, half a cluster) is cleared away first. A server that ends by itself (killed, out of
 * memory) is started again on its port. Throws `EmbeddedPostgresInUseError` while another process uses the directory.
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
    const logFile = options.logFile ?? join(directory, "postgres.log");
    await setAsideLongLog(logFile);
    const settings = { ...serverSettings, ...options.settings };
    const socketFolder = await makeSocketFolder(directory, account);
    const start = { data: cluster.data, settings, logFile, account, binaries, socketFolder };
    const server = await startOnFreePort(start, directory, options.port);
    try {
      await ensureDatabase(cluster, server.options.port);
    } catch (error) {
      await stopPostmaster(cluster.data, server.postmaster.pid);
      throw error;
    }
    const url = urlOf(cluster, server.options.port, databaseName);
    const localUrl = urlOf(cluster, server.options.port, databaseName, socketFolder);
    return new SupervisedServer({ ...server, url, localUrl, onEnd: () => lock.release(), tell: options.onIncident });
  } catch (error) {
    lock.release();
    throw error;
  }
}

/** `host`: an address, or the folder of a socket. */
const urlOf = ({ password }: Cluster, port: number, database: string, host = "127.0.0.1"): string =>
  `postgres://${administrator}:${password}@${encodeURIComponent(host)}:${port}/${database}`;

interface StartedServer {
  readonly postmaster: Postmaster;
  readonly options: PostmasterOptions;
}

// Between finding a port free and taking it another program can take it; so often in a row it is something else.
const portAttempts = 5;

async function startOnFreePort(
  start: Omit<PostmasterOptions, "port">,
  directory: string,
  wanted: number | undefined,
): Promise<StartedServer> {
  const portFile = join(directory, "port");
  const remembered = Number(await readFile(portFile, "utf8").catch(() => "0"));
  for (let attempt = 1; ; attempt++) {
    const port = wanted ?? (await freePort(attempt === 1 ? remembered : 0));
    try {
      const options = { ...start, port };
      const postmaster = await startAfterLeftovers(options);
      if (port !== remembered) await writeFile(portFile, `${port}\n`);
      return { postmaster, options };
    } catch (error) {
      if (!(error instanceof PortTakenError) || wanted !== undefined || attempt === portAttempts) throw error;
    }
  }
}

// Where the system doesn't show us the sessions of a killed postmaster, PostgreSQL itself refuses until they are gone.
const leftoversMs = 20_000;

async function startAfterLeftovers(options: PostmasterOptions, signal?: AbortSignal): Promise<Postmaster> {
  const deadline = performance.now() + leftoversMs;
  for (;;) {
    try {
      return await startPostmaster(options, signal);
    } catch (error) {
      if (!(error instanceof LeftoversError) || performance.now() > deadline) throw error;
      await sleep(100);
    }
  }
}

/** `wanted` if it is free, else any free port. */
async function freePort(wanted: number): Promise<number> {
  const server = createServer();
  const listening = (port: number) =>
    new Promise<void>((done, failed) => {
      server.once("error", failed).listen({ port, host: "127.0.0.1" }, done);
    });
  await listening(wanted).catch(() => listening(0));
  const address = server.address();
  await new Promise((done) => server.close(done));
  if (address === null || typeof address === "string") throw new Error("The system gave no free port.");
  return address.port;
}

const connectMs = 10_000;

/** Connects to the database, which proves that the server works, and waits until it can be written; makes it on the first start. */
async function ensureDatabase(cluster: Cluster, port: number): Promise<void> {
  try {
    await withClient(urlOf(cluster, port, databaseName), untilWritable);
  } catch (error) {
    if ((error as { code?: string }).code !== unknownDatabase) throw error;
    const create = `create database ${databaseName}`;
    await withClient(urlOf(cluster, port, "postgres"), (client) => client.query(create));
  }
}

const unknownDatabase = "3D000";

// A backup's log, a day of it at the most, is played at some 50 MB/s.
const restoreMs = 600_000;

/** A server that was restored from a backup can be read while it still plays the log; it is ours when it can be written. */
async function untilWritable(client: pg.Client): Promise<void> {
  const deadline = performance.now() + restoreMs;
  for (;;) {
    const { rows } = await client.query("select pg_is_in_recovery() as restoring");
    if (rows[0]?.restoring === false) return;
    if (performance.now() > deadline)
      throw new Error(
        `The server still plays the log of a backup after ${restoreMs / 60_000} min: is it told to pause at its target?`,
      );
    await sleep(100);
  }
}

async function withClient(url: string, work: (client: pg.Client) => Promise<unknown>): Promise<void> {
  const client = new pg.Client({
    connectionString: url,
    connectionTimeoutMillis: connectMs,
    application_name: "embedded server",
  });
  client.on("error", () => undefined);
  await client.connect();
  try {
    await work(client);
  } finally {
    await client.end();
  }
}

// Weeks of an undisturbed server; a disturbed one must not fill the disk with its complaints.
const longLogBytes = 16 * 1024 * 1024;

async function setAsideLongLog(file: string): Promise<void> {
  const { size } = await stat(file).catch(() => ({ size: 0 }));
  if (size > longLogBytes) await rename(file, `${file}.1`);
}

// The pause before each further attempt to start a server that ended by itself: doubled from the first to the second.
const [firstPauseMs, longestPauseMs] = [100, 5_000];

class SupervisedServer implements EmbeddedPostgres {
  readonly url: string;
  readonly localUrl: string;
  readonly #options: PostmasterOptions;
  readonly #onEnd: () => void;
  readonly #tell: (what: string) => void;
  readonly #stopping = new AbortController();
  #postmaster: Postmaster;
  readonly #supervision: Promise<void>;
  #stopped: Promise<void> | undefined;

  constructor(
    server: StartedServer & {
      url: string;
      localUrl: string;
      onEnd: () => void;
      tell: ((what: string) => void) | undefined;
    },
  ) {
    this.url = server.url;
    this.localUrl = server.localUrl;
    this.#options = server.options;
    this.#postmaster = server.postmaster;
    this.#onEnd = server.onEnd;
    this.#tell = server.tell ?? (() => undefined);
    this.#supervision = this.#supervise();
  }

  get port(): number {
    return this.#options.port;
  }

  get pid(): number {
    return this.#postmaster.pid;
  }

  stop(): Promise<void> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  async #stop(): Promise<void> {
    this.#stopping.abort();
    // Nothing else may keep this process alive while it waits for the postmaster's end.
    const awake = setInterval(() => undefined, 1_000);
    try {
      await stopPostmaster(this.#options.data, this.#postmaster.pid);
      await this.#supervision;
    } finally {
      clearInterval(awake);
      this.#onEnd();
    }
  }

  async #supervise(): Promise<void> {
    while (!this.#stopping.signal.aborted) {
      const how = await this.#postmaster.ended;
      if (this.#stopping.signal.aborted) return;
      this.#tell(`PostgreSQL ended by itself: ${how}.`);
      await this.#startAgain();
    }
  }

  /** Starts the server again, as often as it takes: nothing works without it, and whoever started us can still stop us. */
  async #startAgain(): Promise<void> {
    const { signal } = this.#stopping;
    for (let pauseMs = firstPauseMs; !signal.aborted; pauseMs = Math.min(2 * pauseMs, longestPauseMs)) {
      try {
        await endLeftovers(this.#options.data);
        this.#postmaster = await startAfterLeftovers(this.#options, signal);
        if (signal.aborted) await stopPostmaster(this.#options.data, this.#postmaster.pid);
        else this.#tell("PostgreSQL runs again.");
        return;
      } catch (error) {
        if (signal.aborted) return;
        this.#tell(error instanceof Error ? error.message : String(error));
        await sleep(pauseMs, undefined, { signal, ref: false }).catch(() => undefined);
      }
    }
  }
}
