/** Dead letters from the command line: events whose last attempt failed. */

import { readFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import type { JsonChange, Letter, LetterGroup, Redrive, RedriveMode, WholeLetter } from "@onsale/messaging/operations";
import { type Command, Option } from "commander";
import { CommandFailure, type DataAndOutput, printResult, say, withDataAndOutput } from "../output.ts";
import { wholeNumber } from "../seed.ts";
import type { OperationsApi } from "./operations-api.ts";

interface FilterOptions {
  readonly reader?: string;
  readonly type?: string;
  readonly cause?: string;
  readonly key?: string;
}

interface RedriveOptions extends DataAndOutput, FilterOptions {
  readonly mode: RedriveMode;
  readonly perSecond: number;
  readonly reason?: string;
  readonly dryRun?: true;
  readonly yes?: true;
}

interface EditOptions extends DataAndOutput {
  readonly payload: string;
  readonly reason: string;
  readonly revision?: number;
  readonly dryRun?: true;
}

const letterName = "as `dlq ls --letters` prints it: reader/event id";

export function register(program: Command): void {
  const dlq = program.command("dlq").description("look at dead letters, mend them, put them back");
  withFilter(withDataAndOutput(dlq.command("ls")))
    .description("dead letters by reader, type and cause")
    .option("--letters", "each for itself, the oldest first")
    .option("--limit <number>", "letters at most", wholeNumber(1, 500), 50)
    .action(list);
  withDataAndOutput(dlq.command("show").argument("<letter>", letterName))
    .description("one dead letter, whole")
    .action(show);
  withDataAndOutput(dlq.command("edit").argument("<letter>", letterName))
    .description("store another payload in a letter, once it fits the schema of its type")
    .requiredOption("--payload <json>", "the whole new payload, or @FILE that has it")
    .requiredOption("--reason <words>", "why, for the log of operations")
    .option("--revision <number>", "the revision that you saw: refused when it was edited since", wholeNumber(0, 1e9))
    .option("--dry-run", "check it and show the difference, store nothing")
    .action(edit);
  withFilter(withDataAndOutput(dlq.command("redrive").argument("[letter]", letterName)))
    .description("put a letter back where it failed, or all that fit a filter")
    .addOption(modeOption())
    .option("--per-second <number>", "letters put back a second, of many", wholeNumber(1, 100), 10)
    .option("--reason <words>", "why, for the log of operations")
    .option("--dry-run", "count, put nothing back")
    .option("--yes", "of many: go on without asking")
    .action(redrive);
  withDataAndOutput(dlq.command("cancel").argument("<redrive>", "as `dlq redrive` prints it: reader/redrive id"))
    .description("stop a redrive of many; what it has put back stays so")
    .action(cancel);
  withDataAndOutput(dlq.command("drop").argument("<letter>", letterName))
    .description("give an event up; what waits behind it goes on")
    .requiredOption("--reason <words>", "why, for the log of operations")
    .option("--yes", "the event will not be applied")
    .action(drop);
}

const withFilter = (command: Command): Command =>
  command
    .option("--reader <name>", "only of this reader")
    .option("--type <type>", "only of this type, as in order.placed.v1")
    .option("--cause <words>", "only of this cause, as `dlq ls` prints it")
    .option("--key <key>", "only of this key");

export const modeOption = (): Option =>
  new Option("--mode <mode>", "redeliver keeps the event's id; reprocess gives it a new one")
    .choices(["redeliver", "reprocess"])
    .default("redeliver");

/** Loaded when a command runs: the client brings a server's start with it. */
async function operating<Result>(data: string | undefined, work: (api: OperationsApi) => Promise<Result>) {
  const { operating } = await import("./operations-api.ts");
  return await operating(data, "dlq", work);
}

const pathOf = async (name: string): Promise<string> => (await import("./operations-api.ts")).pathOf(name);

const filterIn = ({ reader, type, cause, key }: FilterOptions) => ({ reader, type, cause, key });

async function list(options: DataAndOutput & FilterOptions & { letters?: true; limit: number }): Promise<void> {
  const { data, output, letters, limit } = options;
  if (letters !== true) {
    const found = await operating(data, (api) =>
      api.get<{ groups: LetterGroup[] }>("dead-letter-groups", filterIn(options)),
    );
    return printResult(output, found, ({ groups }) => orNone(groups.map(groupInWords)));
  }
  const found = await operating(data, (api) =>
    api.get<{ letters: Letter[]; next: string | null }>("dead-letters", { ...filterIn(options), limit }),
  );
  printResult(output, found, ({ letters: them }) => orNone(them.map(letterInWords)));
}

const orNone = (lines: readonly string[]): string => (lines.length > 0 ? lines.join("\n") : "Nothing is dead.");

const groupInWords = ({ letters, blocking, reader, type, cause, oldestDiedAt, example }: LetterGroup): string =>
  `${letters} of ${type} at ${reader}, ${blocking} with their key behind them, since ${oldestDiedAt}\n  ${cause}\n  onsale dlq show ${reader}/${example}`;

const letterInWords = ({ reader, eventId, type, key, diedAt, cause }: Letter): string =>
  `${reader}/${eventId}  ${type}  ${key}  ${diedAt}  ${cause}`;

async function show(name: string, { data, output }: DataAndOutput): Promise<void> {
  const path = `dead-letters/${await pathOf(name)}`;
  printResult(output, await operating(data, (api) => api.get<WholeLetter>(path)), wholeInWords);
}

function wholeInWords({ event, operations, ...letter }: WholeLetter): string {
  const fields = Object.entries(letter).map(([field, value]) => `${field.padEnd(10)} ${value}`);
  const deeds = operations.map(
    ({ at, operation, operator, reason }) => `  ${at} ${operation} ${operator} ${reason ?? ""}`,
  );
  return [...fields, `event      ${JSON.stringify(event, undefined, 2)}`, ...deeds].join("\n");
}

interface Edited {
  readonly stored: boolean;
  readonly revision: number;
  readonly difference: readonly JsonChange[];
}

async function edit(name: string, { data, output, payload, reason, revision, dryRun }: EditOptions): Promise<void> {
  const path = `dead-letters/${await pathOf(name)}/data`;
  const body = {
    data: await payloadIn(payload),
    reason,
    ...(revision !== undefined && { revision }),
    dryRun: dryRun ?? false,
  };
  const edited = await operating(data, (api) => api.send<Edited>("PUT", path, body));
  printResult(output, edited, ({ stored, difference }) =>
    [
      ...difference.map(changeInWords),
      stored ? `Stored. \`onsale dlq redrive ${name}\` puts it back.` : "Nothing was stored.",
    ].join("\n"),
  );
}

async function payloadIn(text: string): Promise<unknown> {
  try {
    return JSON.parse(text.startsWith("@") ? await readFile(text.slice(1), "utf8") : text);
  } catch (error) {
    throw new CommandFailure(`The payload can't be read: ${error instanceof Error ? error.message : error}`);
  }
}

const changeInWords = (change: JsonChange): string => {
  const before = change.op === "add" ? [] : [`- ${change.path} ${JSON.stringify(change.before)}`];
  const after = change.op === "remove" ? [] : [`+ ${change.path} ${JSON.stringify(change.value)}`];
  return [...before, ...after].join("\n");
};

async function redrive(name: string | undefined, options: RedriveOptions): Promise<void> {
  if (name === undefined) return await redriveMany(options);
  const { data, output, mode, reason, dryRun } = options;
  const path = `dead-letters/${await pathOf(name)}`;
  if (dryRun === true) {
    await operating(data, (api) => api.get(path));
    return printResult(output, { counted: 1 }, countedInWords);
  }
  const body = { mode, ...(reason !== undefined && { reason }) };
  const redriven = await operating(data, (api) =>
    api.send<{ eventId: string; blocked: boolean }>("POST", `${path}/redrive`, body),
  );
  printResult(output, redriven, ({ eventId, blocked }) =>
    blocked ? `${eventId} waits behind another dead letter of its key.` : `${eventId} is tried again.`,
  );
}

/** Counts, says so, and puts back only what was agreed to. */
async function redriveMany(options: RedriveOptions): Promise<void> {
  const { data, output, mode, perSecond, reason = "redriven from the command line", dryRun, yes } = options;
  if (options.reader === undefined)
    throw new CommandFailure("Name a letter, or with --reader whose letters are meant.");
  const wish = { ...filterIn(options), mode, perSecond, reason };
  const result = await operating(data, async (api) => {
    const count = await api.send<{ counted: number }>("POST", "redrives", { ...wish, dryRun: true });
    if (dryRun === true) return count;
    if (yes !== true)
      throw new CommandFailure(
        `${count.counted} dead letters of ${options.reader} fit. With --yes they are put back, ${perSecond} a second.`,
      );
    return await untilEnded(api, await api.send<Redrive>("POST", "redrives", wish));
  });
  // What was asked for was not done: somebody cancelled it meanwhile.
  if ("redriveId" in result && result.state === "cancelled") process.exitCode = 1;
  printResult(output, result, (it) => ("redriveId" in it ? redriveInWords(it) : countedInWords(it)));
}

const lookEveryMs = 500;

async function untilEnded(api: OperationsApi, begun: Redrive): Promise<Redrive> {
  const path = `redrives/${begun.reader}/${begun.redriveId}`;
  say(
    `${begun.counted} letters; \`onsale dlq cancel ${begun.reader}/${begun.redriveId}\` stops it, ending this command does not.`,
  );
  for (let redrive = begun; ; redrive = await api.get<Redrive>(path)) {
    if (process.stderr.isTTY) process.stderr.write(`\r${redrive.redriven} of ${redrive.counted} `);
    if (redrive.state !== "running") return redrive;
    await sleep(lookEveryMs, undefined, { signal: api.signal });
  }
}

const countedInWords = ({ counted }: { counted: number }): string => `${counted} dead letters fit.`;

const redriveInWords = ({ redriveId, reader, state, redriven, counted }: Redrive): string =>
  `Redrive ${reader}/${redriveId} is ${state}: ${redriven} of ${counted} were put back.`;

async function cancel(name: string, { data, output }: DataAndOutput): Promise<void> {
  const path = `redrives/${await pathOf(name)}/cancel`;
  printResult(output, await operating(data, (api) => api.send<Redrive>("POST", path, {})), redriveInWords);
}

async function drop(
  name: string,
  { data, output, reason, yes }: DataAndOutput & { reason: string; yes?: true },
): Promise<void> {
  const path = `dead-letters/${await pathOf(name)}`;
  const dropped = await operating(data, async (api) => {
    const letter = await api.get<WholeLetter>(path);
    if (yes !== true)
      throw new CommandFailure(
        `${letter.type} ${letter.sequence} of ${letter.key} would never be applied at ${letter.reader}. With --yes it is dropped.`,
      );
    return await api.send<{ dropped: true; freed: boolean }>("POST", `${path}/drop`, { reason });
  });
  printResult(output, dropped, ({ freed }) => (freed ? "Dropped. Its key is free." : "Dropped. Its key goes on."));
}
