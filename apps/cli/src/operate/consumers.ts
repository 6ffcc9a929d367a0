/** Readers of events, from the command line: how far behind, held, let go, taken back. */

import type { Lane } from "@onsale/messaging";
import type { HeardAheadPage, ReaderLag, RetiredStream, StreamLag, StreamReset } from "@onsale/messaging/operations";
import { type Command, Option } from "commander";
import { CommandFailure, type DataAndOutput, printResult, withDataAndOutput } from "../output.ts";
import { wholeNumber } from "../seed.ts";
import type { OperationsApi } from "./operations-api.ts";

interface SwitchOptions extends DataAndOutput {
  readonly source?: string;
  readonly lane?: Lane;
  readonly slot?: number;
  readonly reason: string;
}

interface AheadOptions extends DataAndOutput {
  readonly source: string;
  readonly limit: number;
  readonly after?: string;
}

interface ResetOptions extends DataAndOutput {
  readonly source: string;
  readonly toTime?: string;
  readonly again?: true;
  readonly dryRun?: true;
  readonly yes?: true;
  readonly reason: string;
}

export function register(program: Command): void {
  const consumers = program
    .command("consumers")
    .description("see how far readers are behind; hold them, take them back");
  withDataAndOutput(consumers.command("lag"))
    .description("every reader with its streams: behind, owner, parked, dead, paused")
    .option("--reader <name>", "only this reader")
    .action(lag);
  for (const [verb, description] of [
    ["pause", "let a reader's streams go within a second; nothing is lost"],
    ["resume", "let paused streams be read again, from where they stopped"],
  ] as const) {
    const command = withDataAndOutput(consumers.command(verb).argument("<reader>", "as `consumers lag` prints it"))
      .description(description)
      .option("--source <service>", "only what this service tells")
      .addOption(new Option("--lane <lane>", "only this lane").choices(["online", "bulk"]))
      .option("--slot <number>", "only this slot", wholeNumber(0, 10_000));
    if (verb === "pause") command.requiredOption("--reason <words>", "why, for the log of operations");
    else command.option("--reason <words>", "why, for the log of operations", "resumed from the command line");
    command.action((reader: string, options: SwitchOptions) => switchStreams(verb, reader, options));
  }
  withDataAndOutput(consumers.command("ahead").argument("<reader>", "as `consumers lag` prints it"))
    .description(
      "keys of which a reader has heard more than their source knows, as after a restore of it; exit code 1 where there are any",
    )
    .requiredOption("--source <service>", "what this service told")
    .option("--limit <number>", "keys at most", wholeNumber(1, 500), 50)
    .option("--after <place>", "go on behind the last page, as it said")
    .action(ahead);
  withDataAndOutput(consumers.command("reset").argument("<reader>", "as `consumers lag` prints it"))
    .description("take a reader back, so that it is given again what it had")
    .requiredOption("--source <service>", "over whose outbox")
    .requiredOption("--reason <words>", "why, for the log of operations")
    .option("--to-time <moment>", "RFC 3339 in UTC (default: the beginning of what the outbox still has)")
    .option("--again", "what it had takes effect once more (default: it is given and ignored)")
    .option("--dry-run", "count what would be given again, change nothing")
    .option("--yes", "go on without asking")
    .action(reset);
  withDataAndOutput(consumers.command("retire").argument("<reader>", "as `outbox lag` prints it"))
    .description("take a reader that is gone for good off a source, which then keeps nothing for it")
    .requiredOption("--source <service>", "over whose outbox")
    .requiredOption("--reason <words>", "why, for the log of operations")
    .option("--dry-run", "tell what would go, change nothing")
    .option("--yes", "go on without asking")
    .action(retire);
}

/** Loaded when a command runs: the client brings a server's start with it. */
async function operating<Result>(data: string | undefined, work: (api: OperationsApi) => Promise<Result>) {
  const { operating } = await import("./operations-api.ts");
  return await operating(data, "consumers", work);
}

async function lag({ data, output, reader }: DataAndOutput & { reader?: string }): Promise<void> {
  const lags = await operating(data, (api) => api.get<{ readers: ReaderLag[] }>("consumers", { reader }));
  printResult(output, lags, ({ readers }) => readers.map(readerInWords).join("\n"));
}

const readerInWords = ({ reader, parkedKeys, deadLetters, waitingEvents, streams }: ReaderLag): string =>
  [
    `${reader}: ${parkedKeys} keys parked, ${waitingEvents} events wait, ${deadLetters} are dead`,
    ...streams.map(streamInWords),
  ].join("\n");

function streamInWords({ source, lane, slot, ...stream }: StreamLag): string {
  const behind =
    stream.behind === null ? "behind unknown" : `${stream.behind}${stream.isBehindMore ? " or more" : ""} behind`;
  const oldest = stream.oldestUnreadAgeS === null ? "" : `, the oldest for ${stream.oldestUnreadAgeS.toFixed(1)} s`;
  const held =
    stream.pausedAt === null
      ? `read by ${stream.isOwned ? stream.owner : "nobody"}`
      : `paused since ${stream.pausedAt}: ${stream.pauseReason}`;
  return `  ${source}/${lane}/${slot}: ${behind}${oldest}, ${held}`;
}

async function switchStreams(verb: "pause" | "resume", reader: string, options: SwitchOptions): Promise<void> {
  const { data, output, source, lane, slot, reason } = options;
  const body = {
    reason,
    ...(source !== undefined && { source }),
    ...(lane && { lane }),
    ...(slot !== undefined && { slot }),
  };
  const switched = await operating(data, (api) =>
    api.send<{ streams: { source: string; lane: Lane; slot: number }[] }>(
      "POST",
      `consumers/${nameIn(reader)}/${verb}`,
      body,
    ),
  );
  printResult(output, switched, ({ streams }) =>
    streams.map((stream) => `${verb}d ${reader}/${stream.source}/${stream.lane}/${stream.slot}`).join("\n"),
  );
}

interface AheadAnswer extends Omit<HeardAheadPage, "kind"> {
  readonly next: string | null;
}

async function ahead(reader: string, { data, output, source, limit, after }: AheadOptions): Promise<void> {
  const path = `consumers/${nameIn(reader)}/ahead`;
  const answer = await operating(data, (api) => api.get<AheadAnswer>(path, { source, limit, after }));
  printResult(output, answer, aheadInWords);
  if (answer.keys.length > 0) process.exitCode = 1;
}

const aheadInWords = ({ since, keys, next }: AheadAnswer): string =>
  [
    `Compared: what was told ${since === null ? "since the beginning" : `after ${since}`}.`,
    ...keys.map(
      ({ aggregate, key, heard, heardToldAt, told }) =>
        `${aggregate} ${key}: heard up to ${heard}, told at ${heardToldAt}; its source has ${told === null ? "nothing" : `${told}`}`,
    ),
    ...(next === null ? [] : [`There are more: --after ${next}`]),
  ].join("\n");

interface ResetAnswer {
  readonly reset: boolean;
  readonly streams: readonly StreamReset[];
}

/** Counts, says so, and changes only what was agreed to. */
async function reset(reader: string, options: ResetOptions): Promise<void> {
  const { data, output, source, toTime, again, dryRun, yes, reason } = options;
  const wish = { source, reason, again: again === true, ...(toTime !== undefined && { toTime }) };
  const path = `consumers/${nameIn(reader)}/reset`;
  const answer = await operating(data, async (api) => {
    const preview = await api.send<ResetAnswer>("POST", path, { ...wish, dryRun: true });
    if (dryRun === true) return preview;
    if (yes !== true) throw new CommandFailure(`${previewInWords(preview)}\nWith --yes it is done.`);
    return await api.send<ResetAnswer>("POST", path, wish);
  });
  printResult(output, answer, previewInWords);
}

const previewInWords = ({ reset: done, streams }: ResetAnswer): string =>
  streams
    .map(
      ({ lane, slot, from, to, events, keys }) =>
        `${lane}/${slot}: from position ${from} back to ${to}; ${events} events of ${keys} keys ${done ? "are" : "would be"} given again`,
    )
    .join("\n");

interface RetireAnswer {
  readonly retired: boolean;
  readonly streams: readonly RetiredStream[];
  readonly waitingEvents: number;
  readonly deadLetters: number;
}

async function retire(
  reader: string,
  { data, output, source, reason, dryRun, yes }: Omit<ResetOptions, "again" | "toTime">,
): Promise<void> {
  const path = `consumers/${nameIn(reader)}/retire`;
  const answer = await operating(data, async (api) => {
    const preview = await api.send<RetireAnswer>("POST", path, { source, reason, dryRun: true });
    if (dryRun === true) return preview;
    if (yes !== true) throw new CommandFailure(`${retiredInWords(preview)}\nWith --yes it is done.`);
    return await api.send<RetireAnswer>("POST", path, { source, reason });
  });
  printResult(output, answer, retiredInWords);
}

const retiredInWords = ({ retired, streams, waitingEvents, deadLetters }: RetireAnswer): string =>
  [
    ...streams.map(
      ({ lane, slot, replicationSlot }) =>
        `${lane}/${slot}: ${retired ? "gone" : "would go"}${replicationSlot === null ? "" : ` with its slot ${replicationSlot}`}`,
    ),
    `${waitingEvents} waiting events and ${deadLetters} dead letters ${retired ? "were" : "would be"} given up with it`,
  ].join("\n");

function nameIn(text: string): string {
  if (!/^[a-z][a-z0-9.-]*$/.test(text)) throw new CommandFailure(`${text} is no reader's name.`);
  return text;
}
