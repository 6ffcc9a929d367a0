import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startEmbeddedPostgres } from "@onsale/postgres";
import type { TestProject } from "vitest/node";
import "./provided.ts";
import { reapWhenWeDie } from "./reaper.ts";

/** Offers one PostgreSQL to all tests of the run; returns what stops it. It starts when the first test asks. */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  let server: ReturnType<typeof startThrowAwayServer> | undefined;
  const broker = createServer((request, response) => {
    if (request.url !== secretPath) return response.writeHead(404).end();
    server ??= startThrowAwayServer();
    server.then(
      ({ url }) => response.end(url),
      (error: Error) => response.writeHead(500).end(error.message),
    );
  });
  const secretPath = `/${randomBytes(16).toString("hex")}`;
  await new Promise<void>((listening) => broker.listen(0, "127.0.0.1", listening));
  broker.unref();
  project.provide("postgresBroker", `http://127.0.0.1:${(broker.address() as AddressInfo).port}${secretPath}`);
  return async () => {
    broker.closeAllConnections();
    broker.close();
    await server?.then(({ remove }) => remove());
  };
}

async function startThrowAwayServer(): Promise<{ url: string; remove(): Promise<void> }> {
  const directory = await mkdtemp(join(tmpdir(), "onsale-test-"));
  const reaper = reapWhenWeDie(directory);
  const server = await startEmbeddedPostgres({ directory, settings: throwAway });
  return {
    url: server.url,
    async remove() {
      await server.stop();
      reaper.stop();
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
