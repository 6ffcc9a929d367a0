import { rm } from "node:fs/promises";
import type { DrillReport } from "@onsale/drills";
import type { SagaStyle } from "@onsale/orders";
import { Argument, type Command, Option } from "commander";
import { jarsFolder } from "./event-log-choice.ts";
import { type DataAndOutput, printResult, say, withDataAndOutput } from "./output.ts";
import { besideData, onDrillServer, withOwnServer } from "./own-server.ts";
import { wholeNumber } from "./seed.ts";

interface DrillOptions extends DataAndOutput {
  readonly rounds?: number;
  readonly from: number;
  readonly seed: number;
  readonly events: number;
  readonly minutes?: number;
  readonly log: "postgres" | "kafka" | "both";
  readonly saga: SagaStyle;
}

export function register(program: Command): void {
  withDataAndOutput(program.command("drill"))
    .description("put the product under load, break parts of it, and see what must hold")
    .addArgument(new Argument("<name>", "what to go through").choices(Object.keys(drills)))
    .option(
      "--rounds <number>",
      "rounds to play (default 14); of `saga-faults`: orders that go through each cell at once (default 2)",
      wholeNumber(1, 1_000_000),
    )
    .option("--from <number>", "first round, so that a long count can be done in pieces", wholeNumber(1, 1_000_000), 1)
    .option("--seed <number>", "decides who dies when", wholeNumber(0, 1_000_000_000), 1)
    .option("--events <number>", "imported events of a flood", wholeNumber(1_000, 100_000_000), 1_000_000)
    .option(
      "--minutes <number>",
      "how long `old-transactions` holds them open (default 10), the broker of `broker-outage` is away each time, or that of `shop-broker-outage` is frozen (default 1), or the provider of `provider-outage` is dead (default 5)",
      wholeNumber(1, 1_440),
    )
    .addOption(
      new Option("--log <name>", "where the events of `kill` and `planted` go")
        .choices(["postgres", "kafka", "both"])
        .default("both", "both, or PostgreSQL's where Kafka can't be started"),
    )
    .addOption(
      new Option("--saga <style>", "who leads the orders of `saga-faults`")
        .choices(["orchestrated", "choreographed"])
        .default("orchestrated"),
    )
    .action(async (name: keyof typeof drills, options: DrillOptions) => {
      const report = await drills[name](options);
      const { inWords } = await import("@onsale/drills");
      printResult(options.output, report, inWords);
      if (report.verdict === "fail") process.exitCode = 1;
    });
}

const drills = {
  kill,
  planted,
  "bulk-flood": bulkFlood,
  "failing-key": failingKey,
  "old-transactions": oldTransactions,
  "broker-outage": brokerOutage,
  "shop-broker-outage": shopBrokerOutage,
  "provider-outage": providerOutage,
  "saga-faults": sagaFaults,
} satisfies Record<string, (options: DrillOptions) => Promise<DrillReport>>;

const usualRounds = 14;

async function kill({ data, rounds = usualRounds, from, seed, log }: DrillOptions): Promise<DrillReport> {
  const { drillKill, killTogether } = await import("@onsale/drills");
  return await onDrillServer(data, async (serverUrl) => {
    const options = { serverUrl, rounds, from, seed, say };
    return killTogether(await onEachLog({ data, log }, (kafka) => drillKill({ ...options, ...kafka })));
  });
}

/** Goes through a drill on the logs that were chosen, one after the other. */
async function onEachLog(
  { data, log }: { readonly data: string | undefined; readonly log: DrillOptions["log"] },
  drill: (on: { readonly kafka?: { readonly bootstrap: string; readonly prefix: string } }) => Promise<DrillReport>,
): Promise<DrillReport[]> {
  const reports: DrillReport[] = [];
  if (log !== "kafka") reports.push(await drill({}));
  await using kafka = log === "postgres" ? undefined : await openBroker(data, log);
  if (kafka) reports.push(await drill({ kafka }));
  return reports;
}

/** A broker of the drill's own; undefined, and said aloud, where this machine can't start one and nobody insists on it. */
async function openBroker(data: string | undefined, log: DrillOptions["log"]) {
  const { startKafka, whatKafkaLacks } = await import("@onsale/kafka-server");
  const missing = await whatKafkaLacks(jarsFolder);
  if (missing !== undefined && log === "both") {
    say(`SKIPPED: the drill on the Kafka log. ${missing}`);
    return undefined;
  }
  const server = await startKafka({ directory: await brokerFolder(data), jars: jarsFolder });
  return {
    ...{ bootstrap: server.bootstrap, prefix: "drill." },
    [Symbol.asyncDispose]: () => server.stop(),
  };
}

async function planted({ data, seed, log }: DrillOptions): Promise<DrillReport> {
  const { drillPlanted, plantedTogether } = await import("@onsale/drills");
  return await onDrillServer(data, async (serverUrl) => {
    const options = { serverUrl, seed, say };
    return plantedTogether(await onEachLog({ data, log }, (kafka) => drillPlanted({ ...options, ...kafka })));
  });
}

async function bulkFlood({ data, events }: DrillOptions): Promise<DrillReport> {
  const { drillBulkFlood } = await import("@onsale/drills");
  return await onDrillServer(data, (serverUrl) => drillBulkFlood({ serverUrl, events, say }));
}

async function failingKey({ data, rounds: pairs = usualRounds }: DrillOptions): Promise<DrillReport> {
  const { drillFailingKey } = await import("@onsale/drills");
  return await onDrillServer(data, (serverUrl) => drillFailingKey({ serverUrl, pairs, say }));
}

async function oldTransactions({ data, minutes = 10 }: DrillOptions): Promise<DrillReport> {
  const { drillOldTransactions } = await import("@onsale/drills");
  return await onDrillServer(data, (serverUrl) => drillOldTransactions({ serverUrl, heldMs: minutes * 60_000, say }));
}

async function brokerOutage({ data, minutes = 1 }: DrillOptions): Promise<DrillReport> {
  const { drillBrokerOutage } = await import("@onsale/drills");
  const broker = { directory: await brokerFolder(data), jars: jarsFolder };
  return await onDrillServer(data, (serverUrl) =>
    drillBrokerOutage({ serverUrl, broker, awayMs: minutes * 60_000, say }),
  );
}

async function shopBrokerOutage({ data, minutes = 1 }: DrillOptions): Promise<DrillReport> {
  const { playShopBrokerOutage } = await import("./drills/shop-on-kafka.ts");
  return await playShopBrokerOutage(besideData(data, "drill-shop-on-kafka"), { awayMs: minutes * 60_000, say });
}

async function providerOutage({ data, minutes = 5 }: DrillOptions): Promise<DrillReport> {
  const [{ drillProviderOutage }, { withServer }] = await Promise.all([
    import("./drills/provider-outage.ts"),
    import("./session.ts"),
  ]);
  const load = { awayMs: minutes * 60_000, ordersPerSecond: 20, say };
  return await withServer(data, (session) => drillProviderOutage({ session, ...load }), { verb: "drill" });
}

async function sagaFaults({ data, rounds: orders = 2, seed, saga }: DrillOptions): Promise<DrillReport> {
  const { drillSagaFaults } = await import("./drills/saga-faults/saga-faults.ts");
  const directory = besideData(data, "drill-saga-faults");
  // Empty: what an earlier drill left in the books would be compared with a provider that knows nothing of it.
  await rm(directory, { recursive: true, force: true });
  return await withOwnServer(directory, ({ url, signal }) =>
    drillSagaFaults({ adminUrl: url, orders, seed, saga, say, signal }),
  );
}

/** Empty: a drill's topics are of its own database, which is another one each time. */
async function brokerFolder(data: string | undefined): Promise<string> {
  const directory = besideData(data, "drill-kafka");
  await rm(directory, { recursive: true, force: true });
  return directory;
}
