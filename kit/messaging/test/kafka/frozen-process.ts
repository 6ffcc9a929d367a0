/**
 * Run by a test as a process of its own: `frozen-process.ts URL BOOTSTRAP PREFIX freeze|go`. It hears doors from Kafka and
 * writes each event into `beta.heard`, in the transaction of its progress. With `freeze` it stops, as by SIGSTOP, when it
 * has the first events in its hands and nothing of them in the database.
 */

import { array, openDatabase, sql, uuid } from "@onsale/postgres";
import { consumer } from "../../src/consumers/consumer.ts";
import { startFeeds } from "../../src/consumers/feeds.ts";
import { KafkaCluster, KafkaLog } from "../../src/kafka/index.ts";
import type { Log } from "../../src/log.ts";
import { silentTelemetry } from "../../src/telemetry.ts";
import { opened } from "./opened-door.ts";

const [url = "", bootstrap = "", prefix = "", manner = ""] = process.argv.slice(2);

const hearSql = sql("test.hear", { takes: [array(uuid)], gives: {} })`
  insert into heard (event) select unnest($1::uuid[])`;

const database = openDatabase({
  ...{ url, schema: "beta", role: "onsale_beta", connections: 4 },
  applicationName: `${manner} ${process.pid}`,
});
const log = new KafkaLog({ cluster: new KafkaCluster({ bootstrap, prefix }), database });

let isFrozen = manner !== "freeze";

/** Freezes between reading and the transaction of the effects. */
const freezing: Log = {
  slots: () => log.slots(),
  cursors: log.cursors,
  open(feed, types) {
    const reader = log.open(feed, types);
    return {
      async read(cursor, limit) {
        const chunk = await reader.read(cursor, limit);
        if (chunk.events.length > 0 && !isFrozen) {
          isFrozen = true;
          console.log(`holds ${chunk.events.length} events`);
          process.kill(process.pid, "SIGSTOP");
        }
        return chunk;
      },
      wait: (signal) => reader.wait(signal),
      close: () => reader.close(),
    };
  },
};

startFeeds({
  service: "beta",
  database,
  log: freezing,
  consumers: [
    consumer("beta.hear", {
      on: opened,
      in: "batch",
      do: async (tx, events) => void (await tx.execute(hearSql, [events.map(({ id }) => id)])),
    }),
  ],
  ports: { clock: { now: () => "unused" }, ids: { uuid: () => "unused" } },
  sourceOf: () => "alpha",
  telemetry: { ...silentTelemetry, fenced: () => console.log("fenced") },
  leaseMs: 500,
});
console.log("listening");
