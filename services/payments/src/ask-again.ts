import type { OrderId } from "@onsale/contracts/ids";
import { isUnavailable } from "@onsale/postgres";
import type { ServiceContext } from "@onsale/runtime";
import { findOut, questionOf } from "./ask-provider.ts";
import { failuresIn } from "./payment.ts";
import type { PaymentsPorts } from "./ports.ts";
import { type Heard, settleAnswers } from "./settle-answers.ts";
import { readPayments } from "./store/payment.ts";
import { noteFailures } from "./store/provider-choice.ts";
import { claimUnsettled } from "./store/unsettled.ts";
import { telemetry } from "./telemetry.ts";

// Questions of one run: what one process can find out in a second or two, and one transaction can settle in some ten ms.
const claimLimit = 200;
// Calls in flight at once. Few beside the consumer's: new orders go first.
const concurrency = 32;
// Two calls of at most 10 s, one after the other, and the transaction: a process that died gives the question free after it.
const leaseMs = 30_000;

/**
 * Asks the provider about payments whose outcome is unknown and whose time has come, and settles what it says as the
 * consumer would have. A process that dies in between has only asked: the key keeps it from being done twice, and the
 * next to claim asks again. Returns how many it asked about.
 */
export async function askAgain(
  { database, ports }: ServiceContext<PaymentsPorts>,
  signal: AbortSignal,
): Promise<number> {
  const claimed = await claimUnsettled(database, { limit: claimLimit, leaseMs });
  const [first] = claimed;
  if (first === undefined) return 0;
  const heard = await askAll(
    await openQuestions(
      database,
      claimed.map(({ orderId }) => orderId),
    ),
    first.now,
    ports,
    signal,
  );
  await settle(database, heard, { now: first.now, askingAgain: ports.askingAgain });
  for (const [answer, alike] of Map.groupBy(heard, (it) => it.answer.kind))
    telemetry.askedAgain({ answer, count: alike.length });
  return claimed.length;
}

type Asked = Heard & { readonly provider: string | null };
type Database = ServiceContext<PaymentsPorts>["database"];

async function openQuestions(database: Database, orderIds: readonly OrderId[]) {
  const payments = await readPayments(database, orderIds);
  return [...payments.values()].filter(({ ask }) => ask !== null).map(questionOf);
}

async function askAll(
  questions: readonly ReturnType<typeof questionOf>[],
  now: string,
  { providers }: PaymentsPorts,
  signal: AbortSignal,
): Promise<Asked[]> {
  const waiting = [...questions];
  const heard: Asked[] = [];
  const ask = async () => {
    for (let question = waiting.shift(); question !== undefined && !signal.aborted; question = waiting.shift()) {
      const { orderId, movement, provider } = question;
      heard.push({ orderId, movement, provider, answer: await findOut(providers, question, now, signal) });
    }
  };
  await Promise.all(Array.from({ length: concurrency }, ask));
  return heard;
}

/** All in one transaction; where that fails, one by one, so that one payment's fault does not keep the others unsettled. */
async function settle(
  database: Database,
  heard: readonly Asked[],
  given: Parameters<typeof settleAnswers>[2],
): Promise<void> {
  try {
    await database.transaction(async (tx) => {
      await settleAnswers(tx, heard, given);
      await noteFailures(tx, failuresIn(heard));
    });
  } catch (error) {
    if (isUnavailable(error) || heard.length === 1) throw error;
    for (const one of heard) await settle(database, [one], given);
  }
}
