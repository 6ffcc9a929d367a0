import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { areFetched, type RealPart } from "./jars.ts";

const run = promisify(execFile);

/** The oldest Java that Kafka 4's broker runs on. */
const oldestJava = 17;

/** A program answers its version within this, or counts as absent. */
const answerMs = 20_000;

/** Something that a part needs is not on this machine; the message says what and how it comes here. */
export class RealPartMissingError extends Error {
  override readonly name = "RealPartMissingError";
}

/**
 * What keeps these parts from starting on this machine, in one sentence for a person; undefined when nothing does. Maven is
 * needed only until their jars lie in `jars`.
 */
export async function whatIsMissing(jars: string, parts: readonly RealPart[]): Promise<string | undefined> {
  const java = await javaVersion();
  if (java === undefined)
    return `Java is missing: install a runtime of version ${oldestJava} or later (java on the path).`;
  if (java < oldestJava) return `Java ${java} is too old: Kafka needs ${oldestJava} or later.`;
  const fetched = await Promise.all(parts.map((part) => areFetched(jars, part)));
  if (fetched.every(Boolean) || (await answers("mvn", "--version"))) return undefined;
  return "Maven is missing: install it (mvn on the path), so that the jars can be fetched from Maven Central once.";
}

/** What Kafka needs and this machine lacks; see `whatIsMissing`. `jars`: the folder that is given to `startKafka`. */
export const whatKafkaLacks = (jars: string): Promise<string | undefined> => whatIsMissing(jars, ["kafka"]);

/** @throws {RealPartMissingError} */
export async function requireParts(jars: string, parts: readonly RealPart[]): Promise<void> {
  const missing = await whatIsMissing(jars, parts);
  if (missing !== undefined) throw new RealPartMissingError(missing);
}

async function javaVersion(): Promise<number | undefined> {
  try {
    // To standard error, and in the form of the time: `version "17.0.15"`, or `"1.8.0_402"` before Java 9.
    const { stderr } = await run("java", ["-version"], { timeout: answerMs });
    const [, first, second] = /version "(\d+)(?:\.(\d+))?/.exec(stderr) ?? [];
    return first === "1" ? Number(second) : first === undefined ? undefined : Number(first);
  } catch {
    return undefined;
  }
}

const answers = (program: string, ...args: readonly string[]): Promise<boolean> =>
  run(program, args, { timeout: answerMs }).then(
    () => true,
    () => false,
  );
