/**
 * What every messaging bench stands on: a PostgreSQL of its own as the product starts it, with a schema that tells and one
 * that hears, and a broker when one is asked for.
 */

import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { type KafkaServer, startKafka } from "@onsale/kafka-server";
import { type Messaging, openMessaging } from "@onsale/messaging";
import { startEmbeddedPostgres } from "@onsale/postgres";
import { withClient } from "../plain-order.ts";

/** The schema whose outbox is read. */
export const source = "shop";
/** The schema of consumers in another process. */
export const sink = "mirror";

export interface Ground extends AsyncDisposable {
  /** Where parts of a bench may put what they need. Removed at the end. */
  readonly directory: string;
  /** The administrator's, the fastest way to it. */
  readonly url: string;
  /** The same for programs that know nothing but TCP. */
  readonly tcpUrl: string;
  readonly pid: number;
  readonly shop: Messaging;
  /** Where the jars of peers lie, or are fetched to. */
  readonly jars: string;
  /** Started when it is first asked for. */
  broker(): Promise<KafkaServer>;
}

export async function openGround(directory: string, jars: string): Promise<Ground> {
  await rm(directory, { recursive: true, force: true });
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const server = await startEmbeddedPostgres({ directory: join(directory, "postgres") });
  try {
    const shop = await openSchema(server.localUrl, source);
    const mirror = await openSchema(server.localUrl, sink);
    await mirror.close();
    let broker: Promise<KafkaServer> | undefined;
    const start = () => startKafka({ directory: join(directory, "kafka"), jars, heapMegabytes: brokerHeapMegabytes });
    return {
      ...{ directory, url: server.localUrl, tcpUrl: server.url, pid: server.pid, shop, jars },
      broker: () => {
        broker ??= start();
        return broker;
      },
      async [Symbol.asyncDispose]() {
        await shop.close();
        await broker?.then((running) => running.kill());
        await server.stop();
        await rm(directory, { recursive: true, force: true });
      },
    };
  } catch (error) {
    await server.stop();
    throw error;
  }
}

const brokerHeapMegabytes = 1_024;

/** As many transactions at once as a busy service of the product has. */
const connections = 16;

/** Opens one of the two schemas, from any process. */
export const openSchema = (
  url: string,
  schema: typeof source | typeof sink,
  reader: "snapshot" | "wal" = "snapshot",
): Promise<Messaging> =>
  openMessaging({
    ...{ url, schema, connections, reader },
    migrations: new URL(`../../migrations/${schema}/`, import.meta.url),
  });

/** The place in the write-ahead log that was written up to, in bytes. */
export const writtenLogBytes = (url: string): Promise<number> =>
  withClient(url, async (client) => {
    const { rows } = await client.query("select pg_current_wal_lsn() - '0/0'::pg_lsn as bytes");
    return Number(rows[0].bytes);
  });
