import type { Database } from "@onsale/postgres";
import { reroute, type Step } from "./payment.ts";
import type { PaymentsPorts } from "./ports.ts";
import { recordIncidents } from "./store/incident.ts";
import { givePayments, lockPayments } from "./store/payment.ts";
import { readChoice } from "./store/provider-choice.ts";
import { type Claimed, claimUnsent, findUnsent } from "./store/unsettled.ts";
import { telemetry } from "./telemetry.ts";

/**
 * Gives payments of which nothing ever left for their provider to the one that new payments go to, and claims their
 * questions for it. Whose they are and that the mark is gone is one commit, before anybody is asked: a process that dies
 * after it leaves questions that may have been sent to the new provider, and to no other.
 */
export async function rerouteUnsent(
  database: Database,
  { providers }: Pick<PaymentsPorts, "providers">,
  { limit, leaseMs }: { readonly limit: number; readonly leaseMs: number },
): Promise<Claimed[]> {
  const active = (await readChoice(database))?.active;
  const others = providers.map(({ name }) => name).filter((name) => name !== active);
  if (active === undefined || others.length === 0) return [];
  const found = await findUnsent(database, { providers: others, limit });
  if (found.length === 0) return [];
  return await database.transaction(async (tx) => {
    // The payments first, as whoever settles does; then what the search saw without a lock is looked at again.
    const payments = await lockPayments(tx, found);
    const claimed = await claimUnsent(tx, { orderIds: [...payments.keys()], providers: others, leaseMs });
    const steps = claimed.flatMap(({ orderId, now }): Step[] => {
      const payment = payments.get(orderId);
      return payment ? [reroute(payment, active, now)] : [];
    });
    const moved = steps.filter(({ payment }) => payment.provider === active);
    await givePayments(
      tx,
      moved.map(({ payment }) => payment),
    );
    await recordIncidents(
      tx,
      moved.flatMap(({ payment, incidents }) => incidents.map((it) => ({ ...it, orderId: payment.orderId }))),
    );
    tx.afterCommit(() => telemetry.rerouted({ to: active, count: moved.length }));
    // What is another's now was never sent to that one either; a withdrawn order's stays where it was, and was never sent.
    const given = new Set(moved.map(({ payment }) => payment.orderId));
    return claimed.map((it) => (given.has(it.orderId) ? { ...it, unsentTo: active } : it));
  });
}
