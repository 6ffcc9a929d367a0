import type { Command } from "commander";
import { type DataFolder, dataFolder } from "./data-folder.ts";
import { type DataAndOutput, printResult, withDataAndOutput } from "./output.ts";
import { readLivingServer } from "./server-file.ts";

/** Where a shop on some data stands. What is not known is null. */
export interface Status {
  readonly ready: boolean;
  readonly url: string | null;
  readonly pid: number | null;
  readonly data: string;
  readonly log: string;
  readonly databaseUrl: string | null;
  /** The card provider that new payments went to first. */
  readonly providerUrl: string | null;
  /** All card providers, by name. */
  readonly providers: Readonly<Record<string, string>>;
  /** `host:port` of the Kafka that events go through; null where they go through PostgreSQL. */
  readonly kafka: string | null;
  /** The Redis in which a gate turns late buyers away; null where there is none. */
  readonly redis: string | null;
}

export function register(program: Command): void {
  withDataAndOutput(program.command("status"))
    .description("tell whether the shop is open and where")
    .action(async ({ data, output }: DataAndOutput) => {
      const status = await statusOf(dataFolder(data));
      printResult(output, status, inWords);
      if (!status.ready) process.exitCode = 1;
    });
}

export async function statusOf(data: DataFolder): Promise<Status> {
  const server = await readLivingServer(data);
  const { url, databaseUrl, providers = [], kafka, redis } = server ?? {};
  return {
    ready: url !== undefined && (await isReady(url)),
    url: url ?? null,
    pid: server?.server.pid ?? null,
    data: data.root,
    log: data.log,
    databaseUrl: databaseUrl ?? null,
    providerUrl: providers[0]?.url ?? null,
    providers: Object.fromEntries(providers.map(({ name, url: at }) => [name, at])),
    kafka: kafka ?? null,
    redis: redis ?? null,
  };
}

// The shop answers within 1 s even when its database doesn't.
const answerWithinMs = 3_000;

async function isReady(url: string): Promise<boolean> {
  try {
    const answer = await fetch(`${url}/health/ready`, { signal: AbortSignal.timeout(answerWithinMs) });
    await answer.body?.cancel();
    return answer.status === 200;
  } catch {
    return false;
  }
}

function inWords({ ready, url, pid, data, log, databaseUrl, providers, kafka, redis }: Status): string {
  if (pid === null) return `No shop runs on ${data}. \`onsale up\` opens it.`;
  if (url === null) return `A shop is starting on ${data}: process ${pid}. Its log is ${log}.`;
  return [
    `The shop is ${ready ? "open" : "not ready"}: ${url}`,
    `  process   ${pid}`,
    `  data      ${data}`,
    `  log       ${log}`,
    `  database  ${databaseUrl}`,
    ...Object.entries(providers).map(([name, at]) => `  ${name}    ${at}`),
    ...(kafka === null ? [] : [`  kafka     ${kafka}`]),
    ...(redis === null ? [] : [`  redis     ${redis}`]),
  ].join("\n");
}
