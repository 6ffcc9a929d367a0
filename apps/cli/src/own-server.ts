/** A PostgreSQL server of a command's own, beside the shop's data and never in it. */

import { once } from "node:events";
import { dirname, join } from "node:path";
import { dataFolder } from "./data-folder.ts";
import { interruption } from "./interrupt.ts";

/** A folder beside that of the shop's data. */
export const besideData = (data: string | undefined, name: string): string =>
  join(dirname(dataFolder(data).root), name);

interface OwnServer {
  /** The administrator's. */
  readonly url: string;
  /** Aborted when the person ends the command (an `InterruptedError`). */
  readonly signal: AbortSignal;
}

/** Gives `work` a server whose data lie in `directory`, and stops it when the work has ended, be it because the person ended it. */
export async function withOwnServer<Result>(
  directory: string,
  work: (server: OwnServer) => Promise<Result>,
): Promise<Result> {
  const { startEmbeddedPostgres } = await import("@onsale/postgres");
  const interrupted = interruption();
  try {
    const server = await startEmbeddedPostgres({ directory });
    try {
      interrupted.signal.throwIfAborted();
      return await work({ url: server.localUrl, signal: interrupted.signal });
    } catch (error) {
      // What was under way fails in its own words.
      interrupted.signal.throwIfAborted();
      throw error;
    } finally {
      await server.stop();
    }
  } finally {
    interrupted.off();
  }
}

/**
 * The same for work that breaks things until it is done and hears no signal: when the person ends the command it loses its server,
 * and its processes end with this one.
 */
export const onDrillServer = <Result>(
  data: string | undefined,
  work: (serverUrl: string) => Promise<Result>,
): Promise<Result> =>
  withOwnServer(besideData(data, "drill-postgres"), ({ url, signal }) => Promise.race([work(url), aborted(signal)]));

async function aborted(signal: AbortSignal): Promise<never> {
  await once(signal, "abort");
  // What fails without its server until this process has ended is nobody's fault.
  process.on("uncaughtException", () => undefined);
  throw signal.reason;
}
