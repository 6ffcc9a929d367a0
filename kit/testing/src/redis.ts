import { randomBytes } from "node:crypto";
import { copyFile } from "node:fs/promises";
import { join } from "node:path";
import { openRedis, type Redis, type RedisOptions } from "@onsale/redis";
import type { RedisServer } from "@onsale/redis/server";
import { partOfThisRun } from "./part-of-this-run.ts";
import { requiresPart } from "./requires.ts";
import { startThrowAwayRedis } from "./vitest/redis-of-this-run.ts";

/** Whether this run has Redis: `describe.skipIf(!(await requiresRedis()))`. Where it is absent that is said aloud, see `requires`. */
export const requiresRedis = (): Promise<boolean> => requiresPart("redis", "Redis");

/** A place of its own on the Redis that all tests of the run share. */
export interface TestRedis extends AsyncDisposable {
  readonly url: string;
  /** Before the name of every key and channel it makes them this caller's own. */
  readonly prefix: string;
  /** Another connection to the same place; closed with it. */
  open(options?: Partial<RedisOptions>): Redis;
}

/** Starts when it is first asked for, by any test of the run. It is never stopped, frozen or flushed: for that there is `ownRedis`. */
export const testRedis = async (): Promise<TestRedis> => placeOn(await partOfThisRun("redis"));

function placeOn(url: string): TestRedis {
  const prefix = `t${randomBytes(6).toString("hex")}:`;
  const opened: Redis[] = [];
  return {
    url,
    prefix,
    open(options = {}) {
      const redis = openRedis({ url, prefix, applicationName: "test", ...options });
      opened.push(redis);
      return redis;
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(opened.map((redis) => redis.close()));
    },
  };
}

/** A server of the test's own, to be stopped, killed, frozen, flushed, and restored from a copy. */
export interface OwnRedis extends TestRedis {
  /** The one that runs, or ran last. */
  readonly server: RedisServer;
  /** Starts it again at the address that it had, after it was stopped or killed: empty, or with the copy of that name. */
  start(copy?: string): Promise<void>;
  /** Writes down what it holds, under this name. */
  keep(copy: string): Promise<void>;
}

/** `await using redis = await ownRedis()`. Its start takes about 50 ms. */
export async function ownRedis(): Promise<OwnRedis> {
  const throwAway = await startThrowAwayRedis({});
  const place = placeOn(throwAway.server.url);
  const { directory } = throwAway;
  return {
    ...place,
    get server() {
      return throwAway.server;
    },
    start: (copy) => throwAway.startAgain(copy && join(directory, `${copy}.rdb`)),
    async keep(copy) {
      await using redis = place.open();
      await redis.send("SAVE");
      await copyFile(join(directory, "dump.rdb"), join(directory, `${copy}.rdb`));
    },
    async [Symbol.asyncDispose]() {
      await place[Symbol.asyncDispose]();
      await throwAway.remove();
    },
  };
}
