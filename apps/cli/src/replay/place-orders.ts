import { UnexpectedAnswerError } from "../shop.ts";
import { keyOf } from "./identity.ts";
import { atRate } from "./in-parallel.ts";
import { paymentOf } from "./payment.ts";
import type { PlannedOrder } from "./plan.ts";
import { counted, hasEnded, type Run } from "./run.ts";

export interface Placed {
  /** Orders that the shop did not accept, with what it said. */
  readonly notAccepted: readonly { readonly invoice: string; readonly why: string }[];
  /** Seconds from the first order to the end of the last, and how many were followed in that time. */
  readonly seconds: number;
  readonly followed: number;
}

/** Under a fixed rate, orders under way at once at most: as many sockets as one process has without asking for more. */
export const maximumUnderWay = 1_000;

/** Places every order that has not ended in an earlier run, and waits for the end of each. */
export async function placeOrders(run: Run): Promise<Placed> {
  const { plan, buyers, ratePerSecond } = run.options;
  const open = plan.orders.filter(({ invoice }) => !hasEnded(run.outcomes.get(invoice)));
  const notAccepted: { invoice: string; why: string }[] = [];
  const follow = async (planned: PlannedOrder): Promise<void> => {
    const refusal = await followOrder(run, planned);
    if (refusal !== undefined) notAccepted.push({ invoice: planned.invoice, why: refusal });
  };
  const startedAt = performance.now();
  if (ratePerSecond === undefined) await run.each("Ordering", open, buyers, follow);
  else await followAtRate(run, open, ratePerSecond, follow);
  return { notAccepted, seconds: (performance.now() - startedAt) / 1_000, followed: open.length - notAccepted.length };
}

async function followAtRate(
  run: Run,
  open: readonly PlannedOrder[],
  ratePerSecond: number,
  follow: (planned: PlannedOrder) => Promise<void>,
): Promise<void> {
  const { progress, signal } = run.parts;
  progress.begin("Ordering", open.length);
  await atRate(open, { width: maximumUnderWay, signal, ratePerSecond, work: counted(follow, progress) });
  progress.end();
}

/** One buyer's way with one invoice. Gives what the shop said when it did not accept the order. */
async function followOrder(run: Run, planned: PlannedOrder): Promise<string | undefined> {
  const known = run.memory.orders.get(planned.invoice);
  const accepted = known === undefined ? await placeOrder(run, planned) : { orderId: known };
  if (accepted === turnedAway) return undefined;
  if ("refusal" in accepted) return accepted.refusal;
  await run.lookUntil(planned, accepted.orderId, hasEnded);
  if (planned.customer === undefined) await noteEnd(run, planned);
  return undefined;
}

async function noteEnd(run: Run, { invoice }: PlannedOrder): Promise<void> {
  const outcome = run.outcomes.get(invoice);
  if (outcome === undefined || !hasEnded(outcome)) return;
  const { planned: _, ...end } = outcome;
  await run.journal.append({ kind: "end", invoice, ...end });
}

/** A gate in front of the shop said that it is sold out. */
const turnedAway = "turned away";

async function placeOrder(
  run: Run,
  planned: PlannedOrder,
): Promise<{ orderId: string } | { refusal: string } | typeof turnedAway> {
  const { play, plan, currency } = run.options;
  const { invoice, lines } = planned;
  const idempotencyKey = keyOf(play, "order", invoice);
  const accessToken = await run.buyers.tokenFor(planned);
  try {
    const { wish: payment, neededPointsMinor } = paymentOf(play.payment, planned, plan.products);
    if (neededPointsMinor > 0) await givePoints(run, { invoice, accessToken, amountMinor: neededPointsMinor });
    const wish = { currency, lines, payment };
    const { orderId, changed } = await run.parts.shop.placeOrder({ accessToken, idempotencyKey }, wish);
    // An order counts as accepted only once it is written down: what a crash loses must be missed.
    await run.journal.append({ kind: "order", invoice, idempotencyKey, orderId });
    run.noteChange({ changed });
    return { orderId };
  } catch (error) {
    if (!(error instanceof UnexpectedAnswerError)) throw error;
    if (error.code !== "SOLD_OUT") return { refusal: error.message };
    await run.journal.append({ kind: "turned-away", invoice });
    run.noteTurnedAway(planned);
    return turnedAway;
  }
}

/** So that the buyer can pay: exactly what this order takes, once. */
async function givePoints(
  run: Run,
  { invoice, accessToken, amountMinor }: { invoice: string; accessToken: string; amountMinor: number },
): Promise<void> {
  const { play, currency } = run.options;
  const call = { accessToken: await run.parts.operator(), idempotencyKey: keyOf(play, "points", invoice) };
  const accountId = await run.parts.shop.accountId({ accessToken });
  run.noteChange(await run.parts.shop.givePoints(call, { accountId, currency, amountMinor, reason: "replay" }));
}
