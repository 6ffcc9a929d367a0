import { UnexpectedAnswerError } from "../shop.ts";
import type { PlannedOrder } from "./plan.ts";
import { LostOrdersError, type Run } from "./run.ts";

/**
 * Looks up every order that an earlier run was told is accepted, before anything is sent again: a repeated request would
 * be answered as if nothing had happened, and hide that the first one was lost.
 *
 * @throws LostOrdersError when the shop does not know one of them.
 */
export async function findAgain(run: Run): Promise<void> {
  const { plan, buyers } = run.options;
  for (const planned of plan.orders) if (run.memory.turnedAway.has(planned.invoice)) run.noteTurnedAway(planned);
  const remembered = plan.orders.flatMap((planned) => {
    const orderId = run.memory.orders.get(planned.invoice);
    return orderId === undefined ? [] : [{ planned, orderId }];
  });
  const lost: string[] = [];
  await run.each("Finding orders again", remembered, buyers, async ({ planned, orderId }) => {
    if (!(await isThere(run, planned, orderId))) lost.push(planned.invoice);
  });
  if (lost.length > 0) throw new LostOrdersError(lost);
}

/** Of a guest whose token has run out, the end that was written down has to do. */
async function isThere(run: Run, planned: PlannedOrder, orderId: string): Promise<boolean> {
  try {
    return await run.look(planned, orderId);
  } catch (error) {
    const end = run.memory.ends.get(planned.invoice);
    if (end === undefined || !(error instanceof UnexpectedAnswerError) || error.status !== 401) throw error;
    run.outcomes.set(planned.invoice, { ...end, planned });
    return true;
  }
}
