/** Our relay in a process of its own, started and stopped as it is told. */

import { OutboxLog, silentTelemetry } from "@onsale/messaging";
import { KafkaCluster, type RunningRelay, startRelay } from "@onsale/messaging/kafka";
import { answer } from "./child.ts";
import { openSchema, source } from "./ground.ts";

export type RelayOrder =
  | {
      readonly run: true;
      readonly url: string;
      readonly bootstrap: string;
      readonly prefix: string;
      readonly reader: "snapshot" | "wal";
    }
  | { readonly run: false };

let shop: ReturnType<typeof openSchema> | undefined;
let cluster: KafkaCluster | undefined;
let relay: RunningRelay | undefined;

answer(async (order: RelayOrder) => {
  if (order.run) {
    shop ??= openSchema(order.url, source);
    const { database } = await shop;
    cluster ??= new KafkaCluster({ bootstrap: order.bootstrap, prefix: order.prefix });
    relay = startRelay({
      ...{ database, cluster, outbox: new OutboxLog({ database, reader: order.reader }) },
      // The only one that the bench's event may use, and the only one that the peer reads.
      lanes: ["online"],
      telemetry: { ...silentTelemetry, interrupted: ({ error }) => console.error(error) },
    });
  } else {
    await relay?.drain();
  }
  return {};
});
