/** A shop of the drill's own, with a broker beside it that the drill may freeze and kill. */

import { rm } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import type { DrillReport } from "@onsale/drills";
import { dataFolder } from "../data-folder.ts";
import { type ProcessMark, send } from "../process-mark.ts";
import { readServerFile } from "../server-file.ts";
import { withServer } from "../session.ts";
import { type Broker, drillShopBrokerOutage } from "./shop-broker-outage.ts";

const lookEveryMs = 100;

/** Begins a shop in `folder`, which is emptied, and takes its broker away. */
export async function playShopBrokerOutage(
  folder: string,
  options: { readonly awayMs: number; readonly say: (words: string) => void },
): Promise<DrillReport> {
  await rm(folder, { recursive: true, force: true });
  const work = (session: Parameters<Parameters<typeof withServer>[1]>[0]) =>
    drillShopBrokerOutage({ ...options, session, broker: brokerBeside(folder, session.signal) });
  return await withServer(folder, work, { verb: "drill", withKafka: true });
}

function brokerBeside(folder: string, signal: AbortSignal): Broker {
  const data = dataFolder(folder);
  const mark = async (): Promise<ProcessMark> => {
    const broker = (await readServerFile(data))?.kafkaBroker;
    if (!broker) throw new Error(`${data.serverFile} names no broker.`);
    return broker;
  };
  let killed: ProcessMark | undefined;
  return {
    freeze: async () => void send(await mark(), "SIGSTOP"),
    thaw: async () => void send(await mark(), "SIGCONT"),
    async kill() {
      killed = await mark();
      send(killed, "SIGKILL");
    },
    async startedAgain() {
      while ((await mark()).pid === killed?.pid) await sleep(lookEveryMs, undefined, { signal });
    },
  };
}
