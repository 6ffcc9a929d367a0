/** A service that tells of doors and one that hears of them, on a database of their own. */

import type { Database } from "@onsale/postgres";
import { type TestDatabase, waitFor } from "@onsale/testing";
import type pg from "pg";
import { Type } from "typebox";
import type { Consumer } from "../src/consumers/consumer.ts";
import { type RunningFeeds, startFeeds } from "../src/consumers/feeds.ts";
import { type Reader, readersOf } from "../src/consumers/readers.ts";
import { type Delivered, defineEvent, fact, type Lane } from "../src/events/event.ts";
import { OutboxLog } from "../src/outbox/outbox-log.ts";
import { publish } from "../src/outbox/publish.ts";
import { type MessagingTelemetry, silentTelemetry } from "../src/telemetry.ts";
import { twoServices } from "./two-services.ts";

const schema = Type.Object({ id: Type.String(), step: Type.Integer({ minimum: 1, maximum: 1_000_000 }) });
const sample = { id: "door", step: 1 };

/** The events of a door wait for each other. */
export const moved = defineEvent("door.moved.v1", { key: "id", lanes: { online: true }, schema, sample });

/** The latest of a sign is all that counts. */
export const painted = defineEvent("sign.painted.v1", {
  key: "id",
  lanes: { online: true, bulk: true },
  laneChange: "latest-wins",
  whenDead: "skip",
  schema,
  sample,
});

export interface Doors extends AsyncDisposable {
  /** Tells. */
  readonly alpha: Database;
  /** Hears. */
  readonly beta: Database;
  /** The administrator's, in the schema of who hears. */
  readonly admin: pg.Pool;
  readonly home: TestDatabase;
  /** Starts the hearing service's consumers; drained at the end. */
  run(consumers: readonly Consumer[], telemetry?: Partial<MessagingTelemetry>, options?: RunOptions): RunningFeeds;
  /** Publishes step after step of every key, each step in a transaction of its own. */
  tell(keys: readonly string[], steps: readonly number[], options?: TellOptions): Promise<void>;
  /** Waits until so many letters are dead. */
  untilDead(letters: number): Promise<void>;
}

interface RunOptions {
  readonly attempts?: number;
  readonly leaseMs?: number;
  readonly reader?: "snapshot" | "wal";
}

interface TellOptions {
  readonly event?: typeof moved | typeof painted;
  readonly lane?: Lane;
}

export async function openDoors(): Promise<Doors> {
  const services = await twoServices();
  const { home, alpha, beta, admin } = services;
  const running: RunningFeeds[] = [];
  return {
    alpha,
    beta,
    admin,
    home,
    run(consumers, telemetry = {}, { attempts = 2, leaseMs = 3_000, reader = "snapshot" } = {}) {
      const feeds = startFeeds({
        service: "beta",
        database: beta,
        consumers,
        ports: { clock: { now: () => "unused" }, ids: { uuid: () => "unused" } },
        sourceOf: () => "alpha",
        log: new OutboxLog({ database: beta, pollMs: 20, reader }),
        leaseMs,
        retry: { attempts, firstDelayMs: 20 },
        telemetry: { ...silentTelemetry, ...telemetry },
      });
      running.push(feeds);
      return feeds;
    },
    async tell(keys, steps, { event = moved, lane = "online" } = {}) {
      const cause = { correlationId: "test" };
      for (const step of steps) {
        const facts = keys.map((id) => fact(event, { data: { id, step }, sequence: step, cause, lane }));
        await alpha.transaction((tx) => publish(tx, facts));
      }
    },
    async untilDead(letters) {
      const count = "select count(*)::int as dead from dead_letter";
      await waitFor(async () => (await admin.query(count)).rows[0].dead === letters, {
        what: `${letters} dead letters`,
      });
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(running.map((feeds) => feeds.drain()));
      await services[Symbol.asyncDispose]();
    },
  };
}

export const readers = (consumers: readonly Consumer[]): readonly Reader[] =>
  readersOf("beta", consumers, () => "alpha");

/** Collects what a handler was given and did not fail at. */
export function heard() {
  const events: Delivered[] = [];
  return {
    events,
    add: (more: readonly Delivered[]) => void events.push(...more),
    stepsOf: (key: string) => events.filter((event) => event.key === key).map(({ sequence }) => sequence),
    atLeast: (count: number) => waitFor(() => events.length >= count, { what: `${count} events` }),
  };
}
