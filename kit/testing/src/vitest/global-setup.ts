import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type EmbeddedPostgres, startEmbeddedPostgres } from "@onsale/postgres";
import { whatRedisLacks } from "@onsale/redis/server";
import type { TestProject } from "vitest/node";
import "./provided.ts";
import { startThrowAwayKafka, whyWithout } from "./kafka-of-this-run.ts";
import { startThrowAwayRedis } from "./redis-of-this-run.ts";
import { makeRunFolder } from "./run-folder.ts";

/** Where the launcher, too, has Node keep compiled modules: programs that tests start read them there, from run to run. */
const compiled = fileURLToPath(new URL("../../../../.onsale/compiled", import.meta.url));

/**
 * Gives the run a folder of its own, and offers one PostgreSQL, one Kafka and one Redis to all of its tests; returns what ends them. Each
 * starts when the first test asks.
 */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const folder = await makeRunFolder();
  project.config.env = { ...project.config.env, TMPDIR: folder.path, NODE_COMPILE_CACHE: compiled };
  const postgres = lazy(() => startThrowAwayServer(folder.path));
  const kafka = lazy(() => startThrowAwayKafka({ home: folder.path }));
  const redis = lazy(() => startThrowAwayRedis({ home: folder.path }));
  const withoutKafka = lazy(() => whyWithout(["kafka"]));
  const withoutConnect = lazy(() => whyWithout(["kafka", "connect", "debezium"]));
  const withoutRedis = lazy(whatRedisLacks);
  const secretPath = `/${randomBytes(16).toString("hex")}`;
  const answers: Readonly<Record<string, () => Promise<string>>> = {
    [`${secretPath}/postgres`]: async () => (await postgres.get()).localUrl,
    [`${secretPath}/postgres-tcp`]: async () => (await postgres.get()).url,
    [`${secretPath}/kafka`]: async () => (await kafka.get()).bootstrap,
    [`${secretPath}/redis`]: async () => (await redis.get()).server.url,
    [`${secretPath}/why-without-kafka`]: async () => (await withoutKafka.get()) ?? "",
    [`${secretPath}/why-without-connect`]: async () => (await withoutConnect.get()) ?? "",
    [`${secretPath}/why-without-redis`]: async () => (await withoutRedis.get()) ?? "",
  };
  const broker = createServer((request, response) => {
    const answer = answers[request.url ?? ""];
    if (answer === undefined) return response.writeHead(404).end();
    answer().then(
      (text) => response.end(text),
      (error: Error) => response.writeHead(500).end(error.message),
    );
  });
  await new Promise<void>((listening) => broker.listen(0, "127.0.0.1", listening));
  broker.unref();
  const parts = `http://127.0.0.1:${(broker.address() as AddressInfo).port}${secretPath}`;
  project.provide("partsOfThisRun", parts);
  return async () => {
    broker.closeAllConnections();
    broker.close();
    await Promise.all([postgres, kafka, redis].map((part) => part.begun?.then(({ remove }) => remove())));
    await folder.remove();
  };
}

interface Lazy<Value> {
  /** Begins at the first call; the same for all. */
  get(): Promise<Value>;
  readonly begun: Promise<Value> | undefined;
}

function lazy<Value>(begin: () => Promise<Value>): Lazy<Value> {
  let begun: Promise<Value> | undefined;
  return {
    get() {
      begun ??= begin();
      return begun;
    },
    get begun() {
      return begun;
    },
  };
}

async function startThrowAwayServer(
  home: string,
): Promise<Pick<EmbeddedPostgres, "url" | "localUrl"> & { remove(): Promise<void> }> {
  const directory = await mkdtemp(join(home, "onsale-test-"));
  const server = await startEmbeddedPostgres({ directory, settings: throwAway });
  return {
    url: server.url,
    localUrl: server.localUrl,
    async remove() {
      await server.stop();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

// The data of a test run need not outlive a power cut, and several files run at once, each with pools of its own.
const throwAway = {
  fsync: "off",
  synchronous_commit: "off",
  full_page_writes: "off",
  max_connections: "400",
  shared_buffers: "128MB",
};
