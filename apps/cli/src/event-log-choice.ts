import { join } from "node:path";
import { Type } from "typebox";
import { checkout } from "./checkout.ts";
import type { DataFolder } from "./data-folder.ts";
import { readJsonFile, writeJsonFile } from "./json-file.ts";

const Choice = Type.Object({ log: Type.Enum(["postgres", "kafka", "kafka-beside"]) });

/** Where events go: through PostgreSQL, a Kafka that exists already, or a broker that is started beside the shop. */
export type EventLogKind = "postgres" | "kafka" | "kafka-beside";

/** The events can't go where it was asked for. */
export class EventLogChoiceError extends Error {
  override readonly name = "EventLogChoiceError";
}

export interface WantedEventLog {
  /** `ONSALE_KAFKA`. */
  readonly bootstrap: string | undefined;
  /** `--with kafka`. */
  readonly beside: boolean;
}

/** Where Kafka's jars lie, for every shop of this checkout. */
export const jarsFolder = join(checkout, ".onsale/java");

/**
 * Where the events of this data go: as it was begun, or else as it is wanted. Each log counts in words of its own, so what
 * was begun with the one can't go on with another. Asked before the database is settled, whose file says that there is
 * something begun.
 * @throws {EventLogChoiceError}
 */
export async function settleEventLog(data: DataFolder, wanted: WantedEventLog): Promise<EventLogKind> {
  const kind = kindOf(wanted);
  const before = await begunWith(data);
  const refusal = before && whyNot(data, before, kind);
  if (refusal !== undefined) throw new EventLogChoiceError(refusal);
  const settled = before ?? kind ?? "postgres";
  // Nothing is written down before it can be had: a first start in vain leaves the data free to go another way.
  if (settled === "kafka-beside") await prepareBroker();
  if (settled === "kafka" && wanted.bootstrap !== undefined) await reach(wanted.bootstrap);
  writeJsonFile(data.eventLogFile, { log: settled });
  return settled;
}

function kindOf({ bootstrap, beside }: WantedEventLog): EventLogKind | undefined {
  if (bootstrap !== undefined && beside)
    throw new EventLogChoiceError(
      `ONSALE_KAFKA names a Kafka (${bootstrap}) and --with kafka asks for another one: leave one of them out.`,
    );
  if (beside) return "kafka-beside";
  return bootstrap === undefined ? undefined : "kafka";
}

/** What the data was begun with; undefined when nothing was. Data of an earlier version has no file of its own for it. */
async function begunWith(data: DataFolder): Promise<EventLogKind | undefined> {
  if ((await readJsonFile(data.databaseFile, Type.Object({}))) === undefined) return undefined;
  return (await readJsonFile(data.eventLogFile, Choice))?.log ?? "postgres";
}

/** A broker beside the shop is part of its data, and starts with it also when it is not asked for again. */
function whyNot({ root }: DataFolder, before: EventLogKind, wanted: EventLogKind | undefined): string | undefined {
  if (before === wanted || (wanted === undefined && before !== "kafka")) return undefined;
  const way = { postgres: "without Kafka", kafka: "with ONSALE_KAFKA", "kafka-beside": "with a Kafka beside it" };
  const asked = wanted === undefined ? "without it" : wanted === "kafka" ? "with ONSALE_KAFKA" : "with --with kafka";
  return `${root} was begun ${way[before]} and can't go on ${asked}: its consumers would read everything again. Choose another folder with --data.`;
}

/** @throws {EventLogChoiceError} when there is no broker to be had on this machine. */
async function prepareBroker(): Promise<void> {
  const { fetchJars, whatKafkaLacks } = await import("@onsale/kafka-server");
  const missing = await whatKafkaLacks(jarsFolder);
  if (missing !== undefined) throw cantStart(missing);
  await fetchJars(jarsFolder, "kafka").catch((error: Error) => {
    throw cantStart(error.message, error);
  });
}

// A broker on another continent answers within a second.
const answerWithinMs = 10_000;

async function reach(bootstrap: string): Promise<void> {
  const { KafkaCluster } = await import("@onsale/messaging/kafka");
  const cluster = new KafkaCluster({ bootstrap });
  try {
    await cluster.identify(answerWithinMs);
  } catch (cause) {
    throw new EventLogChoiceError(`ONSALE_KAFKA: ${cause instanceof Error ? cause.message : cause}`, { cause });
  } finally {
    await cluster.close();
  }
}

const cantStart = (why: string, cause?: Error): EventLogChoiceError =>
  new EventLogChoiceError(
    `Kafka can't be started beside the shop. ${why} Or name a Kafka that runs already with ONSALE_KAFKA=host:port, or leave --with kafka out.`,
    { cause },
  );
