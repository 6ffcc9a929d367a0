/**
 * Run by a test as a process of its own: `poison-process.ts URL batch|each POISON`. It hears doors being opened, writes each
 * into `beta.heard`, and is killed by the one whose key is POISON.
 */

import { openDatabase } from "@onsale/postgres";
import pg from "pg";
import { Type } from "typebox";
import { type Consumer, consumer } from "../src/consumers/consumer.ts";
import { startFeeds } from "../src/consumers/feeds.ts";
import { type Delivered, defineEvent } from "../src/events/event.ts";

const [url = "", manner = "", poison = ""] = process.argv.slice(2);
const schema = Type.Object({ id: Type.String(), step: Type.Integer() });
const opened = defineEvent("door.opened.v1", {
  key: "id",
  lanes: { online: true },
  schema,
  sample: { id: "d", step: 1 },
});
const heard = new pg.Pool({ connectionString: url, max: 2 });

async function hear({ key }: Delivered): Promise<void> {
  if (key === poison) process.kill(process.pid, "SIGKILL");
  await heard.query("insert into beta.heard (key) values ($1)", [key]);
}

const consumers: Readonly<Record<string, Consumer>> = {
  batch: consumer("beta.hear", {
    on: opened,
    in: "batch",
    do: async (_tx, events) => {
      for (const event of events) await hear(event);
    },
  }),
  each: consumer("beta.hear", {
    on: opened,
    in: "each",
    concurrency: 8,
    prepare: async (_tx, events) => events.map((event) => ({ eventId: event.id, work: event })),
    call: hear,
    settle: async () => undefined,
  }),
};

startFeeds({
  service: "beta",
  database: openDatabase({
    url,
    schema: "beta",
    role: "onsale_beta",
    connections: 4,
    applicationName: `${manner} ${process.pid}`,
  }),
  consumers: Object.values(consumers).filter((one) => one.kind === manner),
  ports: { clock: { now: () => "unused" }, ids: { uuid: () => "unused" } },
  sourceOf: () => "alpha",
  leaseMs: 300,
});
console.log("listening");
