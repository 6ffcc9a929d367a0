import type { Command } from "commander";
import { type DataFolder, dataFolder, isDataFolder, removeData } from "./data-folder.ts";
import { DataHeldError, takeData } from "./holders.ts";
import { CommandFailure, type DataAndOutput, printResult, withDataAndOutput } from "./output.ts";
import { endProcess } from "./process-mark.ts";
import { readServerFile } from "./server-file.ts";

interface Removal {
  readonly data: string;
  readonly removed: boolean;
  /** Files in the folder that are not ours; they stay. */
  readonly left: readonly string[];
}

export function register(program: Command): void {
  withDataAndOutput(program.command("reset"))
    .description("remove the embedded data: every product, order, payment and secret of it")
    .option("--yes", "really do it")
    .action(async ({ data: option, yes, output }: DataAndOutput & { readonly yes?: true }) => {
      const data = dataFolder(option);
      if (!yes) throw new CommandFailure(`This would remove everything in ${data.root}. Add --yes to do it.`, 2);
      printResult(output, await reset(data), inWords);
    });
}

async function reset(data: DataFolder): Promise<Removal> {
  if (!(await isDataFolder(data))) return { data: data.root, removed: false, left: [] };
  await hold(data);
  await endLeftChildren(data);
  return { data: data.root, removed: true, ...(await removeData(data)) };
}

/** Held until the end of this process, and then gone with the folder: nobody may open the shop while it disappears. */
async function hold(data: DataFolder): Promise<void> {
  try {
    await takeData(data, "reset");
  } catch (error) {
    if (error instanceof DataHeldError)
      throw new CommandFailure(`${error.message} Stop it first; nothing was removed.`);
    throw error;
  }
}

/** A server that was killed leaves its children; their files are about to go. */
async function endLeftChildren(data: DataFolder): Promise<void> {
  const before = await readServerFile(data);
  // To PostgreSQL SIGQUIT is the immediate shutdown: there is nothing worth writing to disk any more.
  const bound = { signal: "SIGQUIT", withinMs: 5_000 } as const;
  await Promise.all([
    ...[before?.provider, before?.postgres].map((mark) => mark && endProcess(mark, bound)),
    // Java prints its threads on SIGQUIT and goes on.
    before?.kafkaBroker && endProcess(before.kafkaBroker, { ...bound, signal: "SIGKILL" }),
  ]);
}

function inWords({ data, removed, left }: Removal): string {
  if (!removed) return `There was nothing in ${data}.`;
  return left.length === 0
    ? `Removed ${data}.`
    : `Removed Onsale's data from ${data}; left what is not ours: ${left.join(", ")}.`;
}
