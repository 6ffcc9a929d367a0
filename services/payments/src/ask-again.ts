import { isUnavailable } from "@onsale/postgres";
import type { ServiceContext } from "@onsale/runtime";
import { askProvider, findOut, type Question, questionOf } from "./ask-provider.ts";
import { type Answer, failuresIn, isUnsent, type Payment } from "./payment.ts";
import type { PaymentsPorts } from "./ports.ts";
import { rerouteUnsent } from "./reroute-unsent.ts";
import { type Heard, settleAnswers } from "./settle-answers.ts";
import { readPayments } from "./store/payment.ts";
import { noteFailures } from "./store/provider-choice.ts";
import { type Claimed, claimUnsettled } from "./store/unsettled.ts";
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
  const rerouted = await rerouteUnsent(database, ports, { limit: claimLimit, leaseMs });
  const claimed = [...rerouted, ...(await claimUnsettled(database, { limit: claimLimit, leaseMs }))];
  const [first] = claimed;
  if (first === undefined) return 0;
  const heard = await askAll(await openQuestions(database, claimed), first.now, ports, signal);
  await settle(database, heard, { now: first.now, askingAgain: ports.askingAgain });
  for (const [answer, alike] of Map.groupBy(heard, (it) => it.answer.kind))
    telemetry.askedAgain({ answer, count: alike.length });
  return claimed.length;
}

type Asked = Heard & { readonly provider: string | null };
type Database = ServiceContext<PaymentsPorts>["database"];

interface OpenQuestion {
  readonly payment: Payment;
  readonly claim: Claimed;
}

async function openQuestions(database: Database, claimed: readonly Claimed[]): Promise<OpenQuestion[]> {
  const payments = await readPayments(
    database,
    claimed.map(({ orderId }) => orderId),
  );
  return claimed.flatMap((claim) => {
    const payment = payments.get(claim.orderId);
    return payment && payment.ask !== null ? [{ payment, claim }] : [];
  });
}

async function askAll(
  questions: readonly OpenQuestion[],
  now: string,
  { providers }: PaymentsPorts,
  signal: AbortSignal,
): Promise<Asked[]> {
  const waiting = [...questions];
  const heard: Asked[] = [];
  const ask = async () => {
    for (let open = waiting.shift(); open !== undefined && !signal.aborted; open = waiting.shift()) {
      const question = questionOf(open.payment);
      const { orderId, movement, provider } = question;
      const wasUnsent = open.claim.unsentTo === provider && question.kind === "authorise";
      const answer = wasUnsent
        ? await askFirst(providers, open.payment, question, signal)
        : await findOut(providers, question, now, signal);
      const neverSent = wasUnsent && isUnsent(answer) ? open.claim : undefined;
      heard.push({ orderId, movement, provider, answer, neverSent });
    }
  };
  await Promise.all(Array.from({ length: concurrency }, ask));
  return heard;
}

/** Of this question nothing ever left: there is nothing to be found out, and of a withdrawn order nothing to be asked. */
async function askFirst(
  providers: PaymentsPorts["providers"],
  { status }: Payment,
  question: Question,
  signal: AbortSignal,
): Promise<Answer> {
  if (status !== "AUTHORISING") return { kind: "refused", reason: "never_sent" };
  return await askProvider(providers, question, signal);
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
