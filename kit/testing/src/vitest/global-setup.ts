import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startEmbeddedPostgres } from "@onsale/postgres";
import type { TestProject } from "vitest/node";
import "./provided.ts";
import { reapWhenWeDie } from "./reaper.ts";

/** Starts one PostgreSQL for the whole run and gives its address to the tests; returns what stops it. */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  if (!(await needsPostgres(project))) {
    project.provide("postgresUrl", "");
    return async () => undefined;
  }
  const directory = await mkdtemp(join(tmpdir(), "onsale-test-"));
  const server = await startEmbeddedPostgres({ directory, settings: throwAway });
  const reaper = reapWhenWeDie({ pid: server.pid, directory });
  project.provide("postgresUrl", server.url);
  return async () => {
    await server.stop();
    reaper.stop();
    await rm(directory, { recursive: true, force: true });
  };
}

// The data of a test run need not outlive a power cut, and several files run at once, each with pools of its own.
const throwAway = {
  fsync: "off",
  synchronous_commit: "off",
  full_page_writes: "off",
  max_connections: "400",
  shared_buffers: "128MB",
  // Test databases are made by copying a template, which is no reason to write a checkpoint.
  max_wal_size: "4GB",
};

/** Whether any chosen file may open a database: unit tests alone start in no time. */
async function needsPostgres(project: TestProject): Promise<boolean> {
  const { testFiles } = await project.globTestFiles(project.vitest.filenamePattern);
  return testFiles.some((file) => !file.endsWith(".unit.test.ts"));
}
