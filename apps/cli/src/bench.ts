import { mkdir, mkdtemp } from "node:fs/promises";
import { join } from "node:path";
import type { BenchReport, MessagingPart, OrderRow } from "@onsale/bench";
import { Argument, type Command, Option } from "commander";
import { checkout } from "./checkout.ts";
import { configuration } from "./configuration.ts";
import { dataFolder } from "./data-folder.ts";
import { interruption } from "./interrupt.ts";
import { CommandFailure, type DataAndOutput, printResult, say, withDataAndOutput } from "./output.ts";
import { wholeNumber } from "./seed.ts";

interface BenchOptions extends DataAndOutput {
  readonly seconds?: number;
  readonly pairs?: number;
  readonly events?: number;
  readonly warmUp?: number;
  readonly rate?: number;
  readonly only?: readonly (MessagingPart | OrderRow)[];
}

/** Named here once more: to load the bench itself would slow down the start of every command. */
const messagingParts = [
  "outbox",
  "log",
  "pgoutput",
  "debezium",
  "parallel-consumer",
] as const satisfies readonly MessagingPart[];
const orderRows = ["wallet", "card", "http-wallet", "http-card", "intake"] as const satisfies readonly OrderRow[];

const benches: Readonly<Record<string, (options: BenchOptions) => Promise<BenchReport>>> = {
  orders,
  inventory,
  messaging,
  install,
};

export function register(program: Command): void {
  withDataAndOutput(program.command("bench"))
    .description("measure the product beside its limits, on this machine")
    .addArgument(new Argument("<name>", "what to measure").choices(Object.keys(benches)))
    .option(
      "--seconds <number>",
      "seconds of each measurement (default: orders 60, inventory 15, messaging 10)",
      wholeNumber(1, 3_600),
    )
    .option(
      "--pairs <number>",
      "measurements of ours and of the limit, in turn (default: orders and inventory 5, messaging 3)",
      wholeNumber(1, 100),
    )
    .option(
      "--events <number>",
      "events of a backlog of messaging or inventory (default: 500,000; inventory 200,000)",
      wholeNumber(1_000, 3_000_000),
    )
    .option(
      "--warm-up <number>",
      "seconds that a peer of messaging runs before it is measured",
      wholeNumber(1, 600),
      60,
    )
    .option(
      "--rate <number>",
      "orders a second under which latencies of messaging and inventory are measured",
      wholeNumber(1, 10_000),
      1_000,
    )
    .addOption(
      new Option("--only <part...>", "these parts of messaging, or rows of orders, and no others").choices([
        ...messagingParts,
        ...orderRows,
      ]),
    )
    .action(async (name: string, options: BenchOptions) => {
      const { tableOf } = await import("@onsale/bench");
      const report = await (benches[name] ?? orders)(options);
      printResult(options.output, report, tableOf);
      if (report.rows.length === 0 || report.rows.some(({ met }) => !met)) process.exitCode = 1;
    });
}

/** Those of a bench's parts that were asked for: all, unless some are named. */
function chosen<Part extends string>(parts: readonly Part[], only: readonly string[] | undefined): readonly Part[] {
  const named = only === undefined ? parts : parts.filter((part) => only.includes(part));
  if (named.length === 0) throw new CommandFailure(`Of this bench --only chooses among ${parts.join(", ")}.`);
  return named;
}

async function install(): Promise<BenchReport> {
  const { benchInstall } = await import("@onsale/bench");
  return await benchInstall(checkout, say);
}

/** On a server of its own, since what it writes is no shop's. */
async function inventory({
  seconds = 15,
  pairs = 5,
  events = 200_000,
  rate = 1_000,
}: BenchOptions): Promise<BenchReport> {
  const { benchInventory } = await import("@onsale/bench");
  const directory = await mkdtemp(join(await ownFolder(), "inventory-"));
  const options = { directory, seconds, pairs, orders: events, perSecond: rate, say };
  return await untilInterrupted((goOn) => benchInventory({ ...options, goOn }));
}

async function ownFolder(): Promise<string> {
  const own = join(checkout, ".onsale/bench");
  await mkdir(own, { recursive: true });
  return own;
}

/** On a server of its own, too. */
async function messaging({
  seconds = 10,
  pairs = 3,
  events = 500_000,
  warmUp = 60,
  rate = 1_000,
  only,
}: BenchOptions): Promise<BenchReport> {
  const { benchMessaging } = await import("@onsale/bench");
  const options = {
    directory: await mkdtemp(join(await ownFolder(), "messaging-")),
    jars: join(checkout, ".onsale/java"),
    parts: chosen(messagingParts, only),
    ...{ pairs, seconds, events, peerWarmUpSeconds: warmUp, perSecond: rate, say },
  };
  return await untilInterrupted((goOn) => benchMessaging({ ...options, goOn }));
}

/** `measure` calls `goOn` before each measurement: there it ends, in good order, when the person has ended the command. */
async function untilInterrupted(measure: (goOn: () => void) => Promise<BenchReport>): Promise<BenchReport> {
  const { signal, off } = interruption({ words: "Ending after the present measurement; once more to end at once." });
  try {
    return await measure(() => signal.throwIfAborted());
  } catch (error) {
    // Ctrl-C reaches other programs of a measurement, too.
    signal.throwIfAborted();
    throw error;
  } finally {
    off();
  }
}

/** Measures, then audits: a rate at which the books are wrong is no rate. */
async function orders({ data, seconds = 60, pairs = 5, only }: BenchOptions): Promise<BenchReport> {
  const rows = chosen(orderRows, only);
  const [{ withServer }, { benchOrders }, { audit }, { readLivingServer }] = await Promise.all([
    import("./session.ts"),
    import("@onsale/bench"),
    import("./audit/audit.ts"),
    import("./server-file.ts"),
  ]);
  return await withServer(
    data,
    async (session) => {
      const server = await readLivingServer(dataFolder(data, configuration()));
      const shop = { ...session, pid: server?.server.pid ?? process.pid };
      const report = await benchOrders(shop, { seconds, pairs, rows, say });
      const { violations } = await audit(session);
      for (const { check, what } of violations) say(`violation of ${check}: ${what}`);
      const judged = violations.length === 0 ? report.rows : report.rows.map((row) => ({ ...row, met: false }));
      return { ...report, rows: judged, details: { ...report.details, violations } };
    },
    { verb: "bench" },
  );
}
