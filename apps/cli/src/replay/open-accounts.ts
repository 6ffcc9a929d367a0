import { passwordsAtOnce } from "./buyers.ts";
import { hasEnded, type Run } from "./run.ts";

/**
 * Registers and logs in the customers whose orders are to come. Before the first order, because passwords are slow on
 * purpose: what is measured and fought over afterwards are orders.
 */
export async function openAccounts(run: Run): Promise<void> {
  const open = run.options.plan.orders.filter(({ invoice }) => !hasEnded(run.outcomes.get(invoice)));
  const customers = new Map(
    open.flatMap((planned) => (planned.customer ? [[planned.customer, planned] as const] : [])),
  );
  await run.each("Opening accounts", [...customers.values()], passwordsAtOnce, async (planned) => {
    await run.buyers.tokenFor(planned);
  });
}
