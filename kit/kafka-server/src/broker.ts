import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { type Child, endLeftover, freePorts, startChild } from "@onsale/child-process";
import { classArchive } from "./class-archive.ts";
import { fetchJars } from "./jars.ts";
import { requireParts } from "./requirements.ts";

const run = promisify(execFile);
const name = "Kafka";

export interface KafkaOptions {
  /** Where the broker's log, its settings and its own words (`kafka.log`) lie. Made when absent; one broker at a time may use it. */
  readonly directory: string;
  /** Where the jars lie, or are fetched to from Maven Central. May be shared by any number of brokers. */
  readonly jars: string;
  /** The port to listen on; an error when it is taken. Absent: a free one is chosen, and kept as long as it stays free. */
  readonly port?: number;
  /**
   * `quick` starts in half the time and uses little memory, but never reaches full speed; for tests. Default: the virtual
   * machine's own compilers and collector.
   */
  readonly machine?: "quick" | "default";
  /** Most memory for the virtual machine's heap. Default 512. */
  readonly heapMegabytes?: number;
  /** Settings of the broker in place of ours, by name. */
  readonly settings?: Readonly<Record<string, string>>;
}

/** A running broker, a child of this process. What it holds stays when it ends. */
export interface KafkaServer extends Child {
  /** `127.0.0.1:PORT`. */
  readonly bootstrap: string;
  readonly port: number;
}

/**
 * Starts one Kafka node (KRaft: broker and controller in one, no ZooKeeper) on 127.0.0.1 and resolves when it serves. Its
 * log is made on the first start. A broker whose owner was killed is ended first; see `startChild`.
 * Topics are never made by themselves. Not started again when it ends: whoever owns it decides.
 * @throws {RealPartMissingError} when Java, or Maven where the jars are not there yet, is missing.
 * @throws {InUseError} while a living process runs a broker in the directory.
 */
export async function startKafka(options: KafkaOptions): Promise<KafkaServer> {
  const directory = resolve(options.directory);
  await requireParts(options.jars, ["kafka"]);
  const jars = await fetchJars(options.jars, "kafka");
  await mkdir(directory, { recursive: true, mode: 0o700 });
  await endLeftover({ name, directory });
  const java = { jars, archive: await classArchive(jars, runForArchive(jars)) };
  for (let attempt = 1; ; attempt++) {
    const ports = await choosePorts(directory, options.port);
    await writeFile(join(directory, propertiesName), propertiesOf(directory, ports, options.settings));
    await formatOnce(directory, java);
    try {
      return await startOn(ports.broker, { ...options, directory }, java);
    } catch (error) {
      const tryAgain =
        options.port === undefined && attempt < portAttempts && /in use|BindException/.test(String(error));
      if (!tryAgain) throw error;
    }
  }
}

// Between finding a port free and taking it another program can take it; so often in a row it is something else.
const portAttempts = 5;

const propertiesName = "server.properties";

// Recovery after a kill reads what was not yet flushed; 3 s on an idle machine with nothing to recover.
const readyWithinMs = 120_000;

/** The classes: their jars, and the options by which they are found already read. */
interface Classes {
  readonly jars: string;
  readonly archive: readonly string[];
}

type StartOptions = Pick<KafkaOptions, "directory" | "machine" | "heapMegabytes">;

async function startOn(port: number, options: StartOptions, classes: Classes): Promise<KafkaServer> {
  const { directory, machine = "default", heapMegabytes = 512 } = options;
  const java = await startChild({
    name,
    program: "java",
    directory,
    logFile: join(directory, "kafka.log"),
    args: [
      `-Xmx${heapMegabytes}m`,
      ...(machine === "quick" ? quickMachine : []),
      ...terseLog,
      ...classes.archive,
      ...["-cp", join(classes.jars, "*"), "kafka.Kafka", join(directory, propertiesName)],
    ],
    untilReady: saysReady,
    readyWithinMs,
  });
  return { ...java, bootstrap: `127.0.0.1:${port}`, port };
}

const quickMachine = ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"];

// Warnings, and the one line by which it says that it serves.
const terseLog = [
  "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
  "-Dorg.slf4j.simpleLogger.log.kafka.server.KafkaRaftServer=info",
  "-Dorg.slf4j.simpleLogger.showDateTime=true",
  "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSSXXX",
];

const lookEveryMs = 20;

async function saysReady(log: () => Promise<string>, stop: AbortSignal): Promise<void> {
  while (!stop.aborted && !(await log()).includes("Kafka Server started")) await sleep(lookEveryMs);
}

interface Ports {
  readonly broker: number;
  readonly controller: number;
}

/** The ports of the last start if they are free, so that clients which know the broker find it again. */
async function choosePorts(directory: string, wanted: number | undefined): Promise<Ports> {
  const before = await readFile(join(directory, propertiesName), "utf8").catch(() => "");
  const [, broker = 0, controller = 0] = /^listeners=.*?:(\d+),.*?:(\d+)$/m.exec(before)?.map(Number) ?? [];
  const [chosenBroker = 0, chosenController = 0] = await freePorts([wanted ?? broker, controller]);
  if (wanted !== undefined && wanted !== 0 && chosenBroker !== wanted) throw new PortTakenError(wanted);
  return { broker: chosenBroker, controller: chosenController };
}

/** The port that was asked for by number is another program's. */
export class PortTakenError extends Error {
  override readonly name = "PortTakenError";
  constructor(port: number) {
    super(`Port ${port} is taken by another program.`);
  }
}

const propertiesOf = (directory: string, { broker, controller }: Ports, settings: KafkaOptions["settings"]): string =>
  Object.entries({
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.quorum.bootstrap.servers": `127.0.0.1:${controller}`,
    listeners: `PLAINTEXT://127.0.0.1:${broker},CONTROLLER://127.0.0.1:${controller}`,
    "advertised.listeners": `PLAINTEXT://127.0.0.1:${broker}`,
    "inter.broker.listener.name": "PLAINTEXT",
    "controller.listener.names": "CONTROLLER",
    "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
    "log.dirs": join(directory, "log"),
    // A topic is made on purpose, with its number of partitions, or a misspelt name goes unnoticed.
    "auto.create.topics.enable": "false",
    // One node: nothing can be kept twice.
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "4",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "4",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "group.initial.rebalance.delay.ms": "0",
    // A killed broker is let in again once the controller has missed it for so long. It is its own controller, so there
    // is nobody else whom a pause could make suspicious. By default, 9 s and 2 s.
    "broker.session.timeout.ms": "3000",
    "broker.heartbeat.interval.ms": "750",
    ...settings,
  })
    .map(([name, value]) => `${name}=${value}\n`)
    .join("");

/** Makes the node's log. One whose making was cut short is made anew: the file that we look for is written last. */
async function formatOnce(directory: string, { jars, archive }: Classes): Promise<void> {
  const log = join(directory, "log");
  if (await stat(join(log, "meta.properties")).catch(() => undefined)) return;
  await rm(log, { recursive: true, force: true });
  const tool = [...quickMachine, ...terseLog, ...archive, "-cp", join(jars, "*"), "kafka.tools.StorageTool"];
  const cluster = ["-t", clusterId(), "-c", join(directory, propertiesName)];
  await run("java", [...tool, "format", "--standalone", ...cluster], { cwd: directory });
}

/** A start and an end in good order, in which the machine writes its archive. */
const runForArchive =
  (jars: string) =>
  async (directory: string, archive: readonly string[]): Promise<void> => {
    const ports = await choosePorts(directory, undefined);
    await writeFile(join(directory, propertiesName), propertiesOf(directory, ports, undefined));
    await formatOnce(directory, { jars, archive: [] });
    const server = await startOn(ports.broker, { directory, machine: "quick" }, { jars, archive });
    await server.stop();
  };

/** As Kafka makes them, save that none begins with a hyphen, which its own tool would take for an option. */
function clusterId(): string {
  const id = randomBytes(16).toString("base64url");
  return id.startsWith("-") ? clusterId() : id;
}
