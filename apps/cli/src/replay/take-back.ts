import { UnexpectedAnswerError } from "../shop.ts";
import { keyOf } from "./identity.ts";
import { matchReturns, type PlannedReturn } from "./returns.ts";
import type { OrderOutcome, Run } from "./run.ts";

export interface ReturnOutcome {
  readonly planned: PlannedReturn;
  /** The code of the shop's problem; absent when it accepted. */
  readonly refusal?: string;
}

export interface TakenBack {
  /** In the order of the file. */
  readonly returns: readonly ReturnOutcome[];
  /** Lines of cancellations whose sale is in the file, but got no goods to give back. */
  readonly unansweredLines: number;
}

/** Sends the file's cancellations, in its order where they concern the same order; different orders don't wait for each other. */
export async function takeBack(run: Run): Promise<TakenBack> {
  const { plan, buyers } = run.options;
  const { returns, unmatched } = matchReturns(plan.orders, plan.cancellations, ({ invoice }) =>
    wasFulfilled(run.outcomes.get(invoice)),
  );
  const byOrder = [...Map.groupBy(returns, ({ order }) => order.invoice).values()];
  const refusals = new Map<PlannedReturn, string | undefined>();
  await run.each("Taking back", byOrder, buyers, async (ofOneOrder) => {
    for (const planned of ofOneOrder) refusals.set(planned, await takeBackOnce(run, planned));
  });
  return {
    returns: returns.map((planned) => {
      const refusal = refusals.get(planned);
      return refusal === undefined ? { planned } : { planned, refusal };
    }),
    unansweredLines: unmatched.size,
  };
}

/** The goods were sold to it: it is confirmed, or was until its buyer, who is this program, cancelled it. */
export function wasFulfilled(outcome: OrderOutcome | undefined): boolean {
  return (
    outcome?.status === "CONFIRMED" || (outcome?.status === "CANCELLED" && outcome.reason === "CANCELLED_BY_BUYER")
  );
}

/** Gives the code of the refusal, where the shop refused; otherwise the money is back when this ends. */
async function takeBackOnce(run: Run, planned: PlannedReturn): Promise<string | undefined> {
  const { order, cancellation, whole } = planned;
  const { orderId = "", status } = run.outcomes.get(order.invoice) ?? {};
  const idempotencyKey = keyOf(run.options.play, "return", cancellation, order.invoice);
  // To cancel what is cancelled changes nothing, and is not marked as a replay.
  const known: { readonly refusal?: string } | undefined =
    whole && status === "CANCELLED" ? {} : run.memory.returns.get(idempotencyKey);
  const refusal = known ? known.refusal : await ask(run, planned, { orderId, idempotencyKey });
  if (refusal !== undefined) return refusal;
  if (known === undefined) await run.look(order, orderId);
  await run.lookUntil(order, orderId, whole ? isGivenBack : isRefunded);
  return undefined;
}

const isGivenBack = (order: OrderOutcome): boolean =>
  order.status === "CANCELLED" &&
  order.refundedMinor === order.paidMinor &&
  order.refundedPointsMinor === order.paidPointsMinor;

const isRefunded = ({ refundedMinor, refundedPointsMinor, returnedMinor }: OrderOutcome): boolean =>
  refundedMinor + refundedPointsMinor >= returnedMinor;

async function ask(
  run: Run,
  { order, whole, lines }: PlannedReturn,
  { orderId, idempotencyKey }: { orderId: string; idempotencyKey: string },
): Promise<string | undefined> {
  const { shop } = run.parts;
  const call = { accessToken: await run.buyers.tokenFor(order), idempotencyKey };
  let refusal: string | undefined;
  try {
    run.noteChange(await (whole ? shop.cancelOrder(call, { orderId }) : shop.returnLines(call, { orderId, lines })));
  } catch (error) {
    if (!(error instanceof UnexpectedAnswerError) || error.code === undefined) throw error;
    refusal = error.code;
  }
  await run.journal.append({ kind: "return", idempotencyKey, orderId, ...(refusal !== undefined && { refusal }) });
  return refusal;
}
