/** The command line: finds the command, and turns what went wrong into words and an exit code. */

import { CommanderError } from "commander";
import { program } from "./program.ts";

// 2 is a command line or a configuration that can't be understood, 1 a command that failed.
const exitCodes = { misunderstood: 2, failed: 1 } as const;

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
  "OtherVersionError",
  "SagaStyleError",
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
  // Whoever ended it does not wait for what is still under way.
  if (error instanceof Error && error.name === "InterruptedError") process.exit();
}
setTimeout(() => process.exit(), lingerMs).unref();
