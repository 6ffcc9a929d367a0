/** The command line: finds the command, and turns what went wrong into words and an exit code. */

import { Command, CommanderError } from "commander";
import * as audit from "./audit/command.ts";
import * as bench from "./bench.ts";
import { version } from "./checkout.ts";
import * as drill from "./drill.ts";
import * as fairness from "./fairness.ts";
import * as lab from "./lab.ts";
import * as consumers from "./operate/consumers.ts";
import * as dlq from "./operate/dlq.ts";
import * as events from "./operate/events.ts";
import * as outbox from "./operate/outbox.ts";
import * as payments from "./operate/payments.ts";
import * as tasks from "./operate/tasks.ts";
import * as replay from "./replay/command.ts";
import * as reset from "./reset.ts";
import * as schema from "./schema.ts";
import * as seed from "./seed.ts";
import * as status from "./status.ts";
import * as test from "./test.ts";
import * as up from "./up.ts";

// 2 is a command line or a configuration that can't be understood, 1 a command that failed.
const exitCodes = { misunderstood: 2, failed: 1 } as const;

function program(): Command {
  const onsale = new Command("onsale")
    .description("A commerce backend for the moment everyone arrives at once.")
    .version(version(), "-V, --version")
    .helpCommand("help [command]", "tell about a command")
    .showSuggestionAfterError()
    .exitOverride();
  const commands = [
    up,
    status,
    seed,
    replay,
    audit,
    dlq,
    events,
    consumers,
    outbox,
    payments,
    tasks,
    schema,
    bench,
    drill,
    fairness,
    lab,
    test,
    reset,
  ];
  for (const { register } of commands) register(onsale);
  for (const command of onsale.commands) command.exitOverride();
  return onsale;
}

async function main(args: readonly string[]): Promise<void> {
  const onsale = program();
  if (args.length === 0) return onsale.outputHelp();
  await onsale.parseAsync(args, { from: "user" });
}

function tellFailure(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : exitCodes.misunderstood;
  if (!(error instanceof Error)) {
    process.stderr.write(`onsale: ${error}\n`);
    return exitCodes.failed;
  }
  const words = expected.has(error.name) ? error.message : inFull(error);
  process.stderr.write(`onsale: ${words}\n`);
  if (error.name === "ConfigurationError") return exitCodes.misunderstood;
  return "exitCode" in error && typeof error.exitCode === "number" ? error.exitCode : exitCodes.failed;
}

/** Errors whose message says all that a person needs; by name, so that no command's modules are loaded for it. */
const expected = new Set([
  "CommandFailure",
  "ConfigurationError",
  "DatabaseChoiceError",
  "DataHeldError",
  "EmbeddedPostgresInUseError",
  "EventLogChoiceError",
  "ForbiddenFolderError",
  "ForeignFolderError",
  "InterruptedError",
  "KafkaUnreachableError",
  "OtherLogError",
  "PortTakenError",
]);

function inFull(error: Error): string {
  const causes: string[] = [];
  for (let cause = error.cause; cause instanceof Error; cause = cause.cause)
    causes.push(`  caused by ${cause.stack ?? cause.message}`);
  return [error.stack ?? error.message, ...causes].join("\n");
}

// Whoever reads our words may stop reading (`| head`, a closed terminal): that ends nothing.
for (const stream of [process.stdout, process.stderr]) stream.on("error", () => undefined);

// A command that is done has let go of everything; a handle that somebody forgot must not keep the terminal.
const lingerMs = 3_000;

try {
  await main(process.argv.slice(2));
} catch (error) {
  process.exitCode = tellFailure(error);
}
setTimeout(() => process.exit(), lingerMs).unref();
