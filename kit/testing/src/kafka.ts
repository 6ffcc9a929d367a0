import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { KafkaServer } from "@onsale/kafka-server";
import { type ConnectOptions, type ConnectServer, startConnect } from "@onsale/kafka-server/connect";
import { partOfThisRun } from "./part-of-this-run.ts";
import { requiresPart } from "./requires.ts";
import { jarsOfTests, startThrowAwayKafka } from "./vitest/kafka-of-this-run.ts";
import { reapWhenWeDie } from "./vitest/reaper.ts";

/**
 * Whether this run has Kafka: `describe.skipIf(!(await requiresKafka()))`. Where Java or Maven is absent, or Maven Central
 * is out of reach, that is said aloud and the tests are skipped, or fail where the run requires everything.
 */
export const requiresKafka = (): Promise<boolean> => requiresPart("kafka", "Kafka");

/** The same for Kafka Connect with Debezium. */
export const requiresConnect = (): Promise<boolean> => requiresPart("connect", "Kafka Connect with Debezium");

/** The broker that all tests of the run share, and a place of its own on it. */
export interface TestKafka {
  /** `127.0.0.1:PORT`. */
  readonly bootstrap: string;
  /** Put before the name of every topic and group, it makes them this caller's own. Letters and digits with a full stop at the end. */
  readonly prefix: string;
}

/** Starts when it is first asked for, by any test of the run. It is never stopped or frozen: for that there is `ownKafka`. */
export async function testKafka(): Promise<TestKafka> {
  return { bootstrap: await partOfThisRun("kafka"), prefix: `t${randomBytes(6).toString("hex")}.` };
}

/** A broker of the test's own, to be stopped, killed, frozen and started again. */
export interface OwnKafka extends AsyncDisposable {
  readonly bootstrap: string;
  /** What it keeps: a folder per partition, `TOPIC-NUMBER`. */
  readonly logFolder: string;
  /** The one that runs, or ran last. */
  readonly server: KafkaServer;
  /** Starts it again, after it was stopped or killed, with the data and at the address that it had. */
  start(): Promise<void>;
}

/** `await using kafka = await ownKafka()`. Its start takes about 5 s. `settings`: the broker's, by name. */
export async function ownKafka(settings: Readonly<Record<string, string>> = {}): Promise<OwnKafka> {
  const throwAway = await startThrowAwayKafka({ settings });
  return {
    bootstrap: throwAway.bootstrap,
    logFolder: throwAway.logFolder,
    get server() {
      return throwAway.server;
    },
    start: () => throwAway.startAgain(),
    [Symbol.asyncDispose]: () => throwAway.remove(),
  };
}

/** Kafka Connect with these connectors on a broker, for one test: `await using connect = await ownConnect(...)`. */
export async function ownConnect(
  options: Pick<ConnectOptions, "bootstrap" | "connectors">,
): Promise<ConnectServer & AsyncDisposable> {
  const directory = await mkdtemp(join(tmpdir(), "onsale-test-connect-"));
  const reaper = reapWhenWeDie(directory);
  const server = await startConnect({ ...options, directory, jars: jarsOfTests, machine: "quick" });
  return {
    ...server,
    async [Symbol.asyncDispose]() {
      await server.kill();
      reaper.stop();
      await rm(directory, { recursive: true, force: true });
    },
  };
}
