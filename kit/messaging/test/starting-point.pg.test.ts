import { bigint, type Database, sql, type Transaction, text } from "@onsale/postgres";
import { type TestDatabase, waitFor } from "@onsale/testing";
import { Type } from "typebox";
import { afterEach, beforeEach, expect, test } from "vitest";
import { consumer } from "../src/consumers/consumer.ts";
import { type RunningFeeds, startFeeds } from "../src/consumers/feeds.ts";
import { watermarkOf } from "../src/consumers/progress.ts";
import { beginAt, exportState, ReaderHasBegunError, type StartingPoint } from "../src/consumers/starting-point.ts";
import { defineEvent, fact } from "../src/events/event.ts";
import { OutboxLog } from "../src/outbox/outbox-log.ts";
import { publish } from "../src/outbox/publish.ts";
import { type TwoServices, twoServices } from "./two-services.ts";

const counted = defineEvent("account.counted.v1", {
  key: "id",
  lanes: { online: true },
  schema: Type.Object({ id: Type.String(), step: Type.Integer() }),
  sample: { id: "a", step: 1 },
});

const countUpSql = sql("test.count-up", { takes: [text], gives: { version: bigint } })`
  update account set version = version + 1 where key = $1 returning version`;
const versionsSql = sql("test.versions", { takes: [], gives: { key: text, version: bigint } })`
  select key, version from account`;

const on = [counted];
const keys = Array.from({ length: 8 }, (_, index) => `key-${index}`);

let services: TwoServices;
let home: TestDatabase;
let alpha: Database;
let beta: Database;
let log: OutboxLog;
let running: RunningFeeds | undefined;

beforeEach(async () => {
  services = await twoServices();
  ({ home, beta } = services);
  alpha = home.open("alpha", { connections: 6 });
  log = new OutboxLog({ database: beta });
  running = undefined;
});
afterEach(async () => {
  await running?.drain();
  await services[Symbol.asyncDispose]();
});

async function countUp(tx: Transaction, id: string): Promise<void> {
  const [row] = await tx.query(countUpSql, [id]);
  const step = row?.version ?? 0;
  await publish(tx, [fact(counted, { data: { id, step }, sequence: step, cause: { correlationId: "test" } })]);
}

test("an export and what is read behind it together have every event exactly once, while writers go on", async () => {
  const stop = new AbortController();
  const writers = keys.map(async (key) => {
    while (!stop.signal.aborted) await alpha.transaction((tx) => countUp(tx, key));
  });
  // A transaction that is open during the export, and commits behind it with a position below the export's.
  const commit = Promise.withResolvers<void>();
  const late = alpha.transaction(async (tx) => {
    await countUp(tx, "key-20");
    await commit.promise;
  });
  await waitFor(async () => (await versions()).get("key-0") !== 0);

  const state = new Map<string, number>();
  const { exported, from } = await exportState(alpha, (tx) => tx.query(versionsSql, []));
  commit.resolve();
  await late;
  await beginAt(beta, { reader: "beta", on, from: travelled(from), log }, async () => {
    for (const { key, version } of exported) state.set(key, version);
  });
  // Each event counts its key up by one: one that is missing or comes twice leaves a wrong sum.
  const added = consumer("beta.count", {
    on: counted,
    in: "batch",
    do: async (_tx, events) => {
      for (const { key } of events) state.set(key, (state.get(key) ?? 0) + 1);
    },
  });
  running = startFeeds({ service: "beta", database: beta, consumers: [added], ports, sourceOf: () => "alpha" });
  await waitFor(async () => (await versions()).get("key-0") !== exported.find(({ key }) => key === "key-0")?.version);
  stop.abort();
  await Promise.all(writers);

  const expected = await versions();
  await waitFor(() => [...expected].every(([key, version]) => (state.get(key) ?? 0) >= version));
  expect(state).toEqual(expected);
  expect(exported.find(({ key }) => key === "key-20")?.version).toBe(0);
  expect(state.get("key-20")).toBe(1);
});

test("a commit between the fence and the snapshot is in the export, and does not act once more", async () => {
  await alpha.transaction((tx) => countUp(tx, "key-1"));
  const { from } = await exportState(alpha, async () => undefined);
  // As if the fence had been taken before that commit.
  const earlier = {
    ...from,
    highs: { ...from.highs, online: 0 },
    included: [{ aggregate: "account", key: "key-1", sequence: 1, incarnation: "" }],
  };
  await beginAt(beta, { reader: "beta", on, from: earlier, log }, async () => undefined);
  const heard: number[] = [];
  const hear = consumer("beta.hear", {
    on: counted,
    in: "batch",
    do: async (_tx, events) => void heard.push(...events.map(({ sequence }) => sequence)),
  });
  await alpha.transaction((tx) => countUp(tx, "key-1"));
  running = startFeeds({ service: "beta", database: beta, consumers: [hear], ports, sourceOf: () => "alpha" });
  await waitFor(() => heard.length > 0);
  expect(heard).toEqual([2]);
});

test("nobody waits for a lane that the reader does not read", async () => {
  const { from } = await exportState(alpha, async () => undefined);
  await beginAt(beta, { reader: "beta", on, from, log }, async () => undefined);
  const hear = consumer("beta.hear", { on: counted, in: "batch", do: async () => undefined });
  running = startFeeds({ service: "beta", database: beta, consumers: [hear], ports, sourceOf: () => "alpha" });
  await waitFor(async () => (await watermarkOf(beta, "beta", "alpha")) !== undefined);
});

test("a reader that has begun keeps its own cursor", async () => {
  const { from } = await exportState(alpha, async () => undefined);
  await beginAt(beta, { reader: "beta", on, from, log }, async () => undefined);
  await expect(beginAt(beta, { reader: "beta", on, from, log }, async () => undefined)).rejects.toThrow(
    ReaderHasBegunError,
  );
});

const ports = { clock: { now: () => "unused" }, ids: { uuid: () => "unused" } };

/** The starting point as it arrives with the export, somewhere else. */
const travelled = (from: StartingPoint): StartingPoint => JSON.parse(JSON.stringify(from));

async function versions(): Promise<Map<string, number>> {
  const rows = await alpha.query(versionsSql, []);
  return new Map(rows.map(({ key, version }) => [key, version]));
}
