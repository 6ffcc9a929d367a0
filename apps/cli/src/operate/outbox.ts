/** Outboxes, from the command line. */

import type { OutboxLag } from "@onsale/messaging/operations";
import type { Command } from "commander";
import { type DataAndOutput, printResult, withDataAndOutput } from "../output.ts";

type Outbox = OutboxLag & { readonly service: string };

export function register(program: Command): void {
  const outbox = program.command("outbox").description("see what outboxes hold, and for whom");
  withDataAndOutput(outbox.command("lag"))
    .description("every lane of every outbox: head, partitions, slowest reader; exit code 1 where a person should look")
    .action(lag);
}

async function lag({ data, output }: DataAndOutput): Promise<void> {
  const { operating } = await import("./operations-api.ts");
  const told = await operating(data, "outbox", (api) => api.get<{ outboxes: Outbox[] }>("outboxes"));
  printResult(output, told, ({ outboxes }) => outboxes.map(inWords).join("\n"));
  if (told.outboxes.some(({ alarms }) => alarms.length > 0)) process.exitCode = 1;
}

function inWords({ service, lane, head, partitions, readers, alarms }: Outbox): string {
  const [slowest] = readers;
  const behind = slowest
    ? `slowest ${slowest.reader}, ${slowest.positionsBehind} positions behind ${Math.round(slowest.reportAgeS)} s ago`
    : "nobody reads it";
  const { ready, sealed, retired } = partitions;
  return [
    `${service}/${lane}: head ${head}, ${behind}; partitions: ${ready} ready, ${sealed} sealed, ${retired} retired`,
    ...alarms.map((alarm) => `  ${alarm}`),
  ].join("\n");
}
