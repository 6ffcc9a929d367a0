/** Versions of a type, and lives of a producer, in a real outbox. */

import type { Database } from "@onsale/postgres";
import { type TestDatabase, testDatabase } from "@onsale/testing";
import pg from "pg";
import { Type } from "typebox";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type Consumer, consumer } from "../src/consumers/consumer.ts";
import { type RunningFeeds, startFeeds } from "../src/consumers/feeds.ts";
import { type Delivered, defineEvent, type EventDefinition, fact } from "../src/events/event.ts";
import { upcast } from "../src/events/upcast.ts";
import { OutboxLog } from "../src/outbox/outbox-log.ts";
import { publish } from "../src/outbox/publish.ts";

const old = defineEvent("ticket.sold.v1", {
  key: "ticketId",
  lanes: { online: true },
  schema: Type.Object({ ticketId: Type.String(), pounds: Type.Integer() }),
  sample: { ticketId: "t", pounds: 3 },
});
const present = defineEvent("ticket.sold.v2", {
  key: "ticketId",
  lanes: { online: true },
  schema: Type.Object({ ticketId: Type.String(), pence: Type.Integer({ minimum: 0 }) }),
  sample: { ticketId: "t", pence: 300 },
  earlier: upcast(old, ({ ticketId, pounds }) => ({ ticketId, pence: pounds * 100 })),
});

let home: TestDatabase;
let alpha: Database;
let beta: Database;
let admin: pg.Client;
let running: RunningFeeds[];

beforeEach(async () => {
  const migrations = new URL("./accounts-migrations/", import.meta.url);
  home = await testDatabase({ services: ["alpha", "beta"].map((name) => ({ name, migrations })) });
  alpha = home.open("alpha");
  beta = home.open("beta");
  admin = new pg.Client({ connectionString: home.adminUrl, options: "-c search_path=alpha" });
  await admin.connect();
  running = [];
});
afterEach(async () => {
  await Promise.all(running.map((feeds) => feeds.drain()));
  await admin.end();
  await home.close();
});

const tell = <Definition extends EventDefinition>(
  definition: Definition,
  data: Definition["sample"],
  sequence: number,
) =>
  alpha.transaction((tx) =>
    publish(tx, [fact(definition as EventDefinition, { data, sequence, cause: { correlationId: "test" } })]),
  );

function run(consumers: readonly Consumer[]): void {
  const feeds = startFeeds({
    service: "beta",
    database: beta,
    consumers,
    ports: { clock: { now: () => "unused" }, ids: { uuid: () => "unused" } },
    sourceOf: () => "alpha",
    log: new OutboxLog({ database: beta, pollMs: 20 }),
    retry: { attempts: 1, firstDelayMs: 10 },
  });
  running.push(feeds);
}

const until = (look: () => unknown) => expect.poll(look, { timeout: 10_000, interval: 5 });

test.each(["batch", "each"] as const)("old events reach a %s consumer of the new version, in order", async (kind) => {
  const heard: [type: string, sequence: number, pence: number][] = [];
  const add = ({ type, sequence, data }: Delivered<typeof present>) => void heard.push([type, sequence, data.pence]);
  await tell(old, { ticketId: "t", pounds: 3 }, 1);
  await tell(present, { ticketId: "t", pence: 299 }, 2);
  await tell(old, { ticketId: "t", pounds: 2 }, 3);
  run([
    kind === "batch"
      ? consumer("beta.hear", { on: present, in: "batch", do: async (_tx, events) => events.forEach(add) })
      : consumer("beta.hear", { on: present, in: "each", concurrency: 2, call: async (event) => add(event) }),
  ]);
  await until(() => heard).toEqual([
    ["ticket.sold.v2", 1, 300],
    ["ticket.sold.v2", 2, 299],
    ["ticket.sold.v2", 3, 200],
  ]);
});

test("an event that can't be upcast parks its key as it was told, and no other", async () => {
  const heard: string[] = [];
  await tell(old, { ticketId: "bad", pounds: -1 }, 1);
  await tell(old, { ticketId: "good", pounds: 1 }, 1);
  const hear = async (_: unknown, events: readonly Delivered[]) => void heard.push(...events.map(({ key }) => key));
  run([consumer("beta.hear", { on: present, in: "batch", do: hear })]);
  await until(() => heard).toEqual(["good"]);
  const dead = "select key, type, error from beta.dead_letter";
  await until(async () => (await admin.query(dead)).rows).toEqual([
    { key: "bad", type: "ticket.sold.v1", error: expect.stringContaining("UpcastError: ticket.sold.v1") },
  ]);
});

test("every event says which life of its producer told it, and a new life begins only for an administrator", async () => {
  const lives = new Set<string>();
  const hear = async (_: unknown, events: readonly Delivered[]) => {
    for (const { incarnation } of events) lives.add(incarnation);
  };
  run([consumer("beta.hear", { on: present, in: "batch", do: hear })]);
  await tell(present, { ticketId: "t", pence: 1 }, 1);
  await until(() => lives.size).toBe(1);

  const asService = new pg.Client({
    connectionString: home.adminUrl,
    options: "-c role=onsale_alpha -c search_path=alpha",
  });
  await asService.connect();
  await expect(asService.query("select outbox_renew_incarnation('no')")).rejects.toThrow("permission denied");
  const forged = `insert into outbox_online (id, aggregatetype, aggregateid, type, payload, sequence, headers, incarnation)
    values (gen_random_uuid(), 'ticket', 't', 'ticket.sold.v2', '{}', 2, '{}', gen_random_uuid())`;
  await expect(asService.query(forged)).rejects.toThrow("permission denied");
  await asService.end();

  await admin.query("select outbox_renew_incarnation('restored from a backup')");
  await tell(present, { ticketId: "t", pence: 2 }, 2);
  await until(() => lives.size).toBe(2);
  const { rows } = await admin.query("select incarnation, reason from outbox_incarnation order by number");
  expect(rows).toEqual(
    [...lives].map((incarnation, index) => ({ incarnation, reason: ["first", "restored from a backup"][index] })),
  );
});

test("another server, or another timeline, is noticed once; the same one is not", async () => {
  const notice = async () => (await admin.query("select outbox_notice_restore() as renewed")).rows[0].renewed;
  expect(await notice()).toBeNull();
  await admin.query("update outbox_incarnation set system_identifier = 1");
  expect(await notice()).toMatch(/^[0-9a-f-]{36}$/);
  expect(await notice()).toBeNull();
  await admin.query("update outbox_incarnation set timeline = timeline + 1");
  expect(await notice()).toMatch(/^[0-9a-f-]{36}$/);
  const { rows } = await admin.query("select reason from outbox_incarnation order by number");
  expect(rows.map(({ reason }) => reason.split(":")[0])).toEqual([
    "first",
    "restored on another server",
    "restored or promoted",
  ]);
});
