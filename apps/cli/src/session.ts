import { setTimeout as sleep } from "node:timers/promises";
import type { ProviderAddress } from "./audit/provider-ledger.ts";
import { type Configuration, configuration } from "./configuration.ts";
import { type DataFolder, dataFolder, isDataFolder } from "./data-folder.ts";
import { livingHolder } from "./holders.ts";
import { interruption } from "./interrupt.ts";
import type { OpenShop, OpenShopOptions } from "./open-shop.ts";
import { type OperatorLogIn, readOperator } from "./operator.ts";
import { CommandFailure, say } from "./output.ts";
import { readLivingServer } from "./server-file.ts";
import { providerFiles } from "./shop-children.ts";

/** A shop that can be used: what a command needs to work with it. */
export interface Session extends Address {
  /** Aborted when the person ends the command (an `InterruptedError`). */
  readonly signal: AbortSignal;
}

interface Opening extends Pick<OpenShopOptions, "verb" | "withKafka" | "withRedis" | "saga"> {
  /** In an empty folder no shop is begun: whoever looks after one has mistaken its name. */
  readonly onlyBegun?: true;
}

interface Address {
  readonly url: string;
  readonly databaseUrl: string;
  readonly providers: readonly ProviderAddress[];
  readonly operator: OperatorLogIn;
  /** The Redis in which the shop's gate stands; absent where it has none. */
  readonly redis?: string;
  /** The folder of the shop's data. */
  readonly data: string;
}

/**
 * Gives `work` the shop that runs on this data; where none runs, one is started and stopped afterwards. A shop that is
 * starting is waited for.
 * @param option The command's `--data`.
 * @param opening How a shop is opened where none runs: the command's name, told to others who want the same data meanwhile,
 * and the parts that it needs.
 */
export async function withServer<Result>(
  option: string | undefined,
  work: (session: Session) => Promise<Result>,
  { onlyBegun, ...opening }: Opening,
): Promise<Result> {
  const settings = configuration();
  const data = dataFolder(option, settings);
  let shop: OpenShop | undefined;
  const { signal, off } = interruption({ atOnce: () => shop?.abandon() });
  try {
    const running = await runningShop(data, signal);
    if (!running && onlyBegun) await refuseEmpty(data, settings);
    shop = running ? undefined : await open({ data, configuration: settings, ...opening, say });
    signal.throwIfAborted();
    return await work({ ...(running ?? sessionOf(shop as OpenShop, data)), signal });
  } catch (error) {
    // What was under way fails in its own words.
    signal.throwIfAborted();
    throw error;
  } finally {
    await shop?.close(`${opening.verb} has ended`);
    off();
  }
}

async function refuseEmpty(data: DataFolder, { databaseUrl }: Configuration): Promise<void> {
  // What a database of somebody else's holds does not show in the folder.
  if (databaseUrl !== undefined || (await isDataFolder(data))) return;
  throw new CommandFailure(`There is no shop in ${data.root}: name its folder with --data.`);
}

/** Loaded when no shop runs: a server's modules take longer to load than most commands to run. */
async function open(options: OpenShopOptions): Promise<OpenShop> {
  const { openShop } = await import("./open-shop.ts");
  return await openShop(options);
}

const sessionOf = ({ url, databaseUrl, providers, operator, redis }: OpenShop, data: DataFolder): Address => ({
  ...{ url, databaseUrl, providers, operator },
  ...(redis !== undefined && { redis }),
  data: data.root,
});

// A start after a crash reads PostgreSQL's log again; that takes seconds, with much of it a minute.
const startingShopMs = 90_000;
const lookEveryMs = 100;

async function runningShop(data: DataFolder, signal: AbortSignal): Promise<Address | undefined> {
  const deadline = performance.now() + startingShopMs;
  for (;;) {
    const address = await readAddress(data);
    if (address) return address;
    const holder = await livingHolder(data);
    if (holder === undefined) return undefined;
    if (performance.now() > deadline)
      throw new CommandFailure(
        `Process ${holder.process.pid} (\`onsale ${holder.verb}\`) holds ${data.root} and is not ready.`,
      );
    // It is another process: there is no event to wait for.
    await sleep(lookEveryMs, undefined, { signal });
  }
}

/** What a living server wrote down once it was ready. One that another command opened for itself ends with it, so it does not count. */
async function readAddress(data: DataFolder): Promise<Address | undefined> {
  const server = await readLivingServer(data);
  if (server?.url === undefined || server.databaseUrl === undefined || server.providers === undefined) return undefined;
  const { url, databaseUrl, databaseLocalUrl = databaseUrl, verb, redis } = server;
  if (verb !== "up")
    throw new CommandFailure(
      `\`onsale ${verb}\` (process ${server.server.pid}) runs a shop of its own on ${data.root}; wait for its end, or run \`onsale up\` beside both.`,
    );
  const operator = await readOperator(data);
  if (operator === undefined) throw new CommandFailure(`${data.secrets} lacks the operator's log-in.`);
  const { readSecrets } = await import("@onsale/provider-sim");
  const secretFiles = new Map(providerFiles(data).map(({ name, secretFile }) => [name, secretFile]));
  const providers = await Promise.all(
    server.providers.map(async (it) => ({ ...it, ...(await readSecrets(secretFiles.get(it.name) ?? "")) })),
  );
  return {
    ...{ url, databaseUrl: databaseLocalUrl, providers, operator, data: data.root },
    ...(redis !== undefined && { redis }),
  };
}
