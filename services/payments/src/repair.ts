/** Puts right what two ledgers say differently, each in the only way that can't make it worse. */

import type { OrderId } from "@onsale/contracts/ids";
import { type Database, databaseNow } from "@onsale/postgres";
import { findOut, questionOf } from "./ask-provider.ts";
import { type Answer, adopt, keyOf, type Payment } from "./payment.ts";
import { type PaymentsPorts, providerNamed } from "./ports.ts";
import type { CancelOutcome, RefundOutcome } from "./provider.ts";
import { PaymentChange, recordSteps } from "./record-steps.ts";
import { settleAnswers } from "./settle-answers.ts";
import { recordIncidents } from "./store/incident.ts";
import { lockPayments, readPayments } from "./store/payment.ts";
import type { StoredFinding } from "./store/reconciliation.ts";

/** True when the difference is gone. False leaves everything as it was, for the next run. */
export async function repairFinding(
  database: Database,
  ports: PaymentsPorts,
  finding: StoredFinding,
  signal: AbortSignal,
): Promise<boolean> {
  return finding.repair === "ASK"
    ? await bookWhatIsSaid(database, ports, finding, signal)
    : await giveBack(database, ports, finding, signal);
}

/** Asks the provider about a movement of ours that we have not booked, and books what it says. */
async function bookWhatIsSaid(
  database: Database,
  ports: PaymentsPorts,
  { about, reference }: StoredFinding,
  signal: AbortSignal,
): Promise<boolean> {
  const orderId = reference as OrderId;
  const payment = (await readPayments(database, [orderId])).get(orderId);
  if (payment === undefined) return false;
  return payment.ask === null
    ? await adoptMovement(database, ports, { payment, key: about }, signal)
    : await askOpenQuestion(database, ports, payment, signal);
}

async function askOpenQuestion(
  database: Database,
  { providers, askingAgain }: PaymentsPorts,
  payment: Payment,
  signal: AbortSignal,
): Promise<boolean> {
  const question = questionOf(payment);
  const answer = await findOut(providers, question, await databaseNow(database), signal);
  const { orderId, movement } = question;
  await database.transaction(async (tx) =>
    settleAnswers(tx, [{ orderId, movement, answer }], { now: await databaseNow(tx), askingAgain }),
  );
  return answer.kind !== "unknown";
}

/** For books that are older than the provider's: what it did under a key of ours that we do not remember. */
async function adoptMovement(
  database: Database,
  { providers, askingAgain }: PaymentsPorts,
  { payment, key }: { readonly payment: Payment; readonly key: string },
  signal: AbortSignal,
): Promise<boolean> {
  const { orderId, paymentId, providerId, amountMinor, currency } = payment;
  const movement = key.slice(keyOf(paymentId, "").length);
  const kind = movement === "capture" ? ("capture" as const) : ("refund" as const);
  const { card } = providerNamed(providers, payment.provider);
  const answer = await card.query({ kind, key, orderId, providerId, amountMinor, currency }, signal);
  if (answer.kind === "unknown" || answer.kind === "not-found") return false;
  return await database.transaction(async (tx) => {
    const known = (await lockPayments(tx, [orderId])).get(orderId);
    const step = known && adopt(known, movement, answer, movedMinor(answer, amountMinor));
    if (known === undefined || step === undefined) return false;
    const change = new PaymentChange(known);
    change.add(step, known.cause);
    await recordSteps(tx, [change], askingAgain);
    return true;
  });
}

const movedMinor = (answer: Exclude<Answer, { kind: "unknown" }>, amountMinor: number): number =>
  answer.kind === "refunded" && answer.amountMinor !== undefined ? answer.amountMinor : amountMinor;

/**
 * Gives back money that a provider holds beside our books: voids what is only set aside, refunds what was charged. The
 * keys are the finding's own, so however often this is broken off and begun again, it is given back once.
 */
async function giveBack(
  database: Database,
  { providers }: PaymentsPorts,
  finding: StoredFinding,
  signal: AbortSignal,
): Promise<boolean> {
  const { findingId, providerId, reference, amountMinor, currency, provider } = finding;
  if (providerId === null) return false;
  const { card } = providerNamed(providers, provider);
  const stray = { providerId, orderId: reference as OrderId, amountMinor, currency };
  let outcome: CancelOutcome | RefundOutcome = await card.cancel({ ...stray, key: `${findingId}.void` }, signal);
  if (outcome.kind === "captured") outcome = await card.refund({ ...stray, key: `${findingId}.refund` }, signal);
  if (outcome.kind !== "cancelled" && outcome.kind !== "refunded") return false;
  const detail = `${finding.detail} It was given back.`;
  const incident = { orderId: reference as OrderId, what: "STRAY_GIVEN_BACK", movement: null, detail };
  await database.transaction((tx) => recordIncidents(tx, [incident]));
  return true;
}
