import { type Command, InvalidArgumentError, Option } from "commander";
import { commandName, quoted } from "./checkout.ts";
import { configuration } from "./configuration.ts";
import { type DataFolder, dataFolder } from "./data-folder.ts";
import { onInterrupt } from "./interrupt.ts";
import type { OpenShop } from "./open-shop.ts";
import { type DataAndOutput, say, withDataAndOutput } from "./output.ts";
import { statusOf } from "./status.ts";

export function register(program: Command): void {
  withDataAndOutput(program.command("up"))
    .description("open the shop and stay in the foreground until Ctrl-C")
    .addOption(
      new Option("--port <n>", "port of the shop (default: the one used last, else 7080, else a free one)").argParser(
        toPort,
      ),
    )
    .addOption(
      new Option(
        "--with <part...>",
        "parts to start beside the shop: kafka, a real broker that all events go through; redis, in which a gate turns late " +
          "buyers away; sink, a chat, a mail server and a push gateway that show what the shop sends",
      ).choices(["kafka", "redis", "sink"]),
    )
    .action(up);
}

function toPort(text: string): number {
  const port = Number(text);
  if (!/^\d+$/.test(text) || port > 65_535)
    throw new InvalidArgumentError("It must be a whole number from 0 to 65535.");
  return port;
}

interface UpOptions extends DataAndOutput {
  readonly port?: number;
  readonly with?: readonly ("kafka" | "redis" | "sink")[];
}

async function up({ data: option, port, with: parts = [], output }: UpOptions): Promise<void> {
  const settings = configuration();
  const data = dataFolder(option, settings);
  const ended = Promise.withResolvers<string>();
  let shop: OpenShop | undefined;
  onInterrupt({
    first(signal) {
      say("Closing: finishing what is under way. Once more to end at once.");
      ended.resolve(signal);
    },
    atOnce: () => shop?.abandon(),
  });
  endOnFault((error) => {
    say(`Closing after an unexpected fault: ${error instanceof Error ? error.stack : error}`);
    process.exitCode = 70;
    ended.resolve("an unexpected fault");
  });

  // Loaded here: every command would load a server's modules otherwise, to learn that there is `up`.
  const { openShop } = await import("./open-shop.ts");
  shop = await openShop({
    ...{ data, configuration: settings, verb: "up", say },
    withKafka: parts.includes("kafka"),
    withRedis: parts.includes("redis"),
    withSink: parts.includes("sink"),
    ...(port !== undefined && { port }),
  });
  if (output === "json") process.stdout.write(`${JSON.stringify(await statusOf(data))}\n`);
  else process.stdout.write(welcome(shop, data, option));
  await shop.close(await ended.promise);
}

/** What nobody caught leaves the process in a state that nobody knows: it closes, and whoever keeps it running starts it anew. */
function endOnFault(end: (error: unknown) => void): void {
  process.on("uncaughtException", end);
  process.on("unhandledRejection", end);
}

function welcome(
  { url, operator, kafka, redis, messages }: OpenShop,
  { root, log }: DataFolder,
  option: string | undefined,
): string {
  const command = commandName();
  const where = option === undefined ? "" : ` --data ${quoted(root)}`;
  const startedS = (performance.now() / 1_000).toFixed(1);
  return `
Onsale is open, ${startedS} s after the start.

  Shop API   ${url}/reference
  Health     ${url}/health/ready
  Metrics    ${url}/metrics
  Log        ${log}${kafka === undefined ? "" : `\n  Kafka      ${kafka}`}${redis === undefined ? "" : `\n  Redis      ${redis}`}
  Messages   ${messages ?? `${url}/v1/admin/messages`}
  Operator   ${operator.email}  ${operator.password}

Three things to try in another terminal:

  ${command} replay${where}
      sends real invoices through the public API as orders, then audits the books
  ${command} seed --sku POSTER --units 50 --price-minor 1999 --name Poster${where}
      puts something on the shelf; then look at ${url}/v1/products
  ${command} audit${where}
      checks every invariant in all stores

Ctrl-C closes the shop.
`;
}
