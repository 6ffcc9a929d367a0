/** What lies in the outboxes, from the command line. */

import { setTimeout as sleep } from "node:timers/promises";
import type { Delivered } from "@onsale/messaging";
import type { RedriveMode } from "@onsale/messaging/operations";
import type { Command } from "commander";
import { CommandFailure, type DataAndOutput, type OutputForm, printResult, withDataAndOutput } from "../output.ts";
import { wholeNumber } from "../seed.ts";
import { modeOption } from "./dlq.ts";
import type { OperationsApi } from "./operations-api.ts";

interface TailOptions extends DataAndOutput {
  readonly type?: string;
  readonly key?: string;
  readonly source?: string;
  readonly limit: number;
  readonly follow?: true;
  readonly seconds?: number;
}

interface ResendOptions extends DataAndOutput {
  readonly to: string;
  readonly source?: string;
  readonly mode: RedriveMode;
  readonly reason: string;
  readonly yes?: true;
}

export function register(program: Command): void {
  const events = program.command("events").description("look at what was told, and tell it again");
  withDataAndOutput(events.command("tail"))
    .description("the latest events")
    .option("--type <type>", "only of this type, as in order.placed.v1")
    .option("--key <key>", "only of this key")
    .option("--source <service>", "only what this service told")
    .option("--limit <number>", "events at most", wholeNumber(1, 500), 20)
    .option("--follow", "and what comes, until ended")
    .option("--seconds <number>", "follow for so long", wholeNumber(1, 86_400))
    .action(tail);
  withDataAndOutput(events.command("get").argument("<id>", "the event's id"))
    .description("one event, whole")
    .option("--source <service>", "who told it: looked for there alone")
    .action(get);
  withDataAndOutput(events.command("resend").argument("<id>", "the event's id"))
    .description("give one reader an event once more")
    .requiredOption("--to <reader>", "who is to have it")
    .requiredOption("--reason <words>", "why, for the log of operations")
    .option("--source <service>", "who told it: looked for there alone")
    .addOption(modeOption())
    .option("--yes", "also when it was applied: a second effect is meant")
    .action(resend);
}

interface Told {
  readonly events: readonly Delivered[];
  readonly next: string;
}

/** Loaded when a command runs: the client brings a server's start with it. */
async function operating<Result>(data: string | undefined, work: (api: OperationsApi) => Promise<Result>) {
  const { operating } = await import("./operations-api.ts");
  return await operating(data, "events", work);
}

async function tail({ data, output, follow, seconds, ...wish }: TailOptions): Promise<void> {
  const { type, key, source, limit } = wish;
  await operating(data, async (api) => {
    const first = await api.get<Told>("events", { type, key, source, limit });
    if (follow !== true && seconds === undefined)
      return printResult(output, { events: first.events }, ({ events }) => events.map(inWords).join("\n"));
    print(output, first.events);
    const followed = await followOn(api, { type, key, source }, { from: first.next, output, seconds });
    printResult(output, { told: first.events.length + followed }, ({ told }) => `${told} events.`);
  });
}

/** Between two looks: the eye sees no difference, and the shop hardly a load. */
const lookEveryMs = 300;

/** Prints what comes, each event on a line of its own; gives how many came. */
async function followOn(
  api: OperationsApi,
  filter: { type: string | undefined; key: string | undefined; source: string | undefined },
  { from, output, seconds }: { from: string; output: OutputForm; seconds: number | undefined },
): Promise<number> {
  const endsAt = seconds === undefined ? Number.POSITIVE_INFINITY : performance.now() + seconds * 1_000;
  let told = 0;
  for (let after = from; performance.now() < endsAt; ) {
    await sleep(lookEveryMs, undefined, { signal: api.signal });
    const { events, next } = await api.get<Told>("events", { ...filter, limit: 500, after });
    print(output, events);
    told += events.length;
    after = next;
  }
  return told;
}

const print = (output: OutputForm, events: readonly Delivered[]): void =>
  events.forEach(
    (event) => void process.stdout.write(`${output === "json" ? JSON.stringify(event) : inWords(event)}\n`),
  );

const inWords = ({ time, source, lane, type, key, sequence, id }: Delivered): string =>
  `${time}  ${source}/${lane}  ${type}  ${key} #${sequence}  ${id}`;

async function get(id: string, { data, output, source }: DataAndOutput & { source?: string }): Promise<void> {
  const found = await operating(data, (api) => api.get<{ event: Delivered }>(`events/${idIn(id)}`, { source }));
  printResult(output, found, ({ event }) => JSON.stringify(event, undefined, 2));
}

async function resend(id: string, { data, output, to, source, mode, reason, yes }: ResendOptions): Promise<void> {
  const body = { reader: to, mode, reason, evenThoughApplied: yes === true, ...(source !== undefined && { source }) };
  const resent = await operating(data, (api) =>
    api.send<{ eventId: string; blocked: boolean }>("POST", `events/${idIn(id)}/resend`, body),
  );
  printResult(output, resent, ({ eventId, blocked }) =>
    blocked ? `${eventId} waits behind a dead letter of its key.` : `${eventId} is given to ${to} again.`,
  );
}

function idIn(text: string): string {
  if (!/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(text)) throw new CommandFailure(`${text} is no event's id.`);
  return text;
}
