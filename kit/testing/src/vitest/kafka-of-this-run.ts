import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { fetchJars, type KafkaServer, type RealPart, startKafka, whatIsMissing } from "@onsale/kafka-server";
import { reapWhenWeDie } from "./reaper.ts";

/** Where test runs keep the jars of Maven Central: in the checkout, ignored by git. */
export const jarsOfTests = fileURLToPath(new URL("../../../../.onsale/java", import.meta.url));

/** What keeps the run from having these parts, in words; undefined when nothing does. Fetches their jars. */
export async function whyWithout(parts: readonly RealPart[]): Promise<string | undefined> {
  const missing = await whatIsMissing(jarsOfTests, parts);
  if (missing !== undefined) return missing;
  try {
    for (const part of parts) await fetchJars(jarsOfTests, part);
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}

/** A broker whose data go when it is removed, or when this process dies. */
export interface ThrowAwayKafka {
  readonly bootstrap: string;
  /** Where the partitions lie. */
  readonly logFolder: string;
  /** The one that runs, or ran last. */
  readonly server: KafkaServer;
  startAgain(): Promise<void>;
  remove(): Promise<void>;
}

export interface ThrowAwayKafkaOptions {
  readonly settings?: Readonly<Record<string, string>>;
  /** The folder in which its own is made. */
  readonly home?: string;
}

export async function startThrowAwayKafka({
  settings = {},
  home = tmpdir(),
}: ThrowAwayKafkaOptions): Promise<ThrowAwayKafka> {
  const directory = await mkdtemp(join(home, "onsale-test-kafka-"));
  const reaper = reapWhenWeDie(directory);
  const start = (port = 0) => startKafka({ directory, jars: jarsOfTests, machine: "quick", port, settings });
  let server = await start();
  const { port, bootstrap } = server;
  return {
    bootstrap,
    logFolder: join(directory, "log"),
    get server() {
      return server;
    },
    async startAgain() {
      server = await start(port);
    },
    async remove() {
      await server.kill();
      reaper.stop();
      await rm(directory, { recursive: true, force: true });
    },
  };
}
