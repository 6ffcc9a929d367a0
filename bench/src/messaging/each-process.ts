/** Our `each` consumer over a whole topic, in a process of its own, once for every time that it is asked. */

import { setTimeout as sleep } from "node:timers/promises";
import { consumer } from "@onsale/messaging";
import { KafkaCluster, KafkaLog } from "@onsale/messaging/kafka";
import { answer } from "./child.ts";
import { sharedClock } from "./clock.ts";
import { openSchema, sink, source } from "./ground.ts";
import { orderPlaced } from "./order-event.ts";

export interface EachOrder {
  readonly url: string;
  readonly bootstrap: string;
  readonly prefix: string;
  readonly messages: number;
  readonly concurrency: number;
}

export interface EachReport {
  /** From the beginning of the first call to the end of the last. */
  readonly milliseconds: number;
}

let mirror: ReturnType<typeof openSchema> | undefined;
let round = 0;

answer(async ({ url, bootstrap, prefix, messages, concurrency }: EachOrder): Promise<EachReport> => {
  mirror ??= openSchema(url, sink);
  const messaging = await mirror;
  const cluster = new KafkaCluster({ bootstrap, prefix });
  const log = new KafkaLog({ cluster, database: messaging.database });
  const done = Promise.withResolvers<number>();
  let startedAt: number | undefined;
  let left = messages;
  // A reader of another name begins at the beginning.
  round++;
  const feeds = messaging.consume(
    [
      consumer(`mirror.call-${round}`, {
        ...{ on: orderPlaced, in: "each", concurrency },
        async call({ data }) {
          startedAt ??= sharedClock();
          // The other side answers after as many milliseconds as the event says.
          if (data.note !== "0") await sleep(Number(data.note));
          left--;
          if (left === 0) done.resolve(sharedClock() - startedAt);
        },
      }),
    ],
    { log, sourceOf: () => source },
  );
  const milliseconds = await done.promise;
  await feeds.drain();
  await log.close();
  await cluster.close();
  return { milliseconds };
});
