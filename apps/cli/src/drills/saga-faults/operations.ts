/** What an operator does about what the faults left behind. */

import { randomUUID } from "node:crypto";
import { services } from "../../audit/subscriptions.ts";
import { UnexpectedAnswerError } from "../../shop.ts";
import type { ShopAnswer } from "../../shop-client.ts";
import type { World } from "./attempts.ts";
import { stageOf } from "./steps.ts";

const reason = "the drill has mended it";

/** Who reads for a step's consumer: all batch consumers of a service read as one. */
function readerOf(step: string): string {
  const [consumer = ""] = step.split(" ");
  return stageOf(step) === "do" ? (consumer.split(".")[0] ?? "") : consumer;
}

const readers: readonly string[] = [
  ...new Set(services.flatMap(({ name, consumers }) => consumers.map((it) => (it.kind === "batch" ? name : it.name)))),
];

const lettersAtOnce = 100;

/** Puts every dead letter back to its reader; gives their number. */
export async function redriveAll(world: World): Promise<number> {
  let redriven = 0;
  for (const reader of readers) {
    const { status, body } = await post(world, "redrives", {
      ...{ reader, mode: "redeliver", perSecond: lettersAtOnce, reason },
    });
    if (status === 202) redriven += (body as { counted: number }).counted;
  }
  return redriven;
}

/** Has an event given once more to who takes the step, although it had its effect. */
export async function resend(world: World, step: string, eventId: string): Promise<void> {
  const path = `events/${eventId}/resend`;
  const wish = { reader: readerOf(step), mode: "redeliver", evenThoughApplied: true, reason };
  const answer = await post(world, path, wish);
  if (answer.status !== 202) throw new UnexpectedAnswerError({ method: "POST", path }, answer);
}

const post = async ({ client, operator }: World, path: string, body: object): Promise<ShopAnswer> =>
  client.send({
    ...{ method: "POST", path: `/v1/admin/${path}`, body },
    ...{ accessToken: await operator(), idempotencyKey: randomUUID() },
  });
