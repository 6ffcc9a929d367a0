import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { fetchJars, type KafkaServer, startKafka, whatKafkaLacks } from "@onsale/kafka-server";
import { reapWhenWeDie } from "./reaper.ts";

/** Where test runs keep the jars of Maven Central: in the checkout, ignored by git. */
export const jarsOfTests = fileURLToPath(new URL("../../../../.onsale/java", import.meta.url));

/** What keeps the run from having Kafka, in words; undefined when nothing does. Fetches the jars. */
export async function whyNoKafka(): Promise<string | undefined> {
  return (
    (await whatKafkaLacks(jarsOfTests)) ??
    (await fetchJars(jarsOfTests, "kafka").then(
      () => undefined,
      (error: Error) => error.message,
    ))
  );
}

/** A broker whose data go when it is removed, or when this process dies. */
export interface ThrowAwayKafka {
  readonly bootstrap: string;
  /** The one that runs, or ran last. */
  readonly server: KafkaServer;
  startAgain(): Promise<void>;
  remove(): Promise<void>;
}

export async function startThrowAwayKafka(settings: Readonly<Record<string, string>> = {}): Promise<ThrowAwayKafka> {
  const directory = await mkdtemp(join(tmpdir(), "onsale-test-kafka-"));
  const reaper = reapWhenWeDie(directory);
  const start = (port = 0) => startKafka({ directory, jars: jarsOfTests, machine: "quick", port, settings });
  let server = await start();
  const { port, bootstrap } = server;
  return {
    bootstrap,
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
