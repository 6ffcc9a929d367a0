/** Our books against the provider's own, by identity: payment by payment, movement by movement, to the cent. */

import { bigint, nullable, sql, text, uuid } from "@onsale/postgres";
import type { LedgerPayment, MovementRecord } from "@onsale/provider-sim";
import { type Check, type Finding, namedExamples, type Stores } from "./check.ts";

const paymentsSql = sql("audit.provider-payments", {
  takes: [],
  gives: {
    ...{ orderId: uuid, paymentId: uuid, status: text, orderStatus: nullable(text), isOpen: bigint },
    ...{ provider: nullable(text), providerId: nullable(text) },
  },
})`
  select payment.order_id as "orderId", payment.payment_id as "paymentId", payment.status, payment.provider,
    payment.provider_id as "providerId", placed.status as "orderStatus",
    (payment.ask_movement is not null)::int::bigint as "isOpen"
  from payments.payment left join orders.orders as placed on placed.order_id = payment.order_id`;

const movementsSql = sql("audit.provider-movements", {
  takes: [],
  gives: { key: text, orderId: uuid, amountMinor: bigint, currency: text },
})`
  select payment_id || '.' || movement as key, order_id as "orderId", amount_minor as "amountMinor", currency
  from payments.ledger_entry where account = 'provider'`;

interface OwnPayment {
  readonly orderId: string;
  readonly paymentId: string;
  readonly status: string;
  readonly orderStatus: string | null;
  readonly isOpen: number;
  readonly provider: string | null;
  readonly providerId: string | null;
}

interface OwnMovement {
  readonly orderId: string;
  readonly amountMinor: number;
  readonly currency: string;
}

/** What is compared, and what was found so far. */
interface Comparison {
  readonly payments: ReadonlyMap<string, OwnPayment>;
  /** Our movements by the key under which the provider knows them; those that it has too are taken out. */
  readonly movements: Map<string, OwnMovement>;
  /** Payments that the provider authorised, by order. */
  readonly authorised: Map<string, number>;
  readonly faults: string[];
}

async function compareLedgers({ tx, providerLedgers }: Stores): Promise<Finding> {
  const comparison: Comparison = {
    payments: new Map((await tx.query(paymentsSql, [])).map((row) => [row.orderId, row])),
    movements: new Map((await tx.query(movementsSql, [])).map(({ key, ...row }) => [key, row])),
    authorised: new Map(),
    faults: [],
  };
  let rows = comparison.payments.size;
  for (const [provider, ledger] of providerLedgers) {
    for await (const theirs of ledger()) {
      rows++;
      comparePayment(provider, theirs, comparison);
    }
  }
  for (const [key, { orderId, amountMinor, currency }] of comparison.movements) {
    comparison.faults.push(
      `order ${orderId}: we booked ${currency} ${amountMinor} as ${key}, the provider has no such movement`,
    );
  }
  const faults = comparison.faults.toSorted();
  return { rows, offending: faults.length, examples: faults.slice(0, namedExamples) };
}

function comparePayment(provider: string, theirs: LedgerPayment, comparison: Comparison): void {
  const { payments, authorised, faults } = comparison;
  const { reference, id, status } = theirs;
  const ours = payments.get(reference);
  if (ours === undefined) {
    faults.push(`order ${reference}: the provider has the payment ${id} (${status}), we have none`);
    return;
  }
  if (isStray(provider, theirs, ours) && hasGoneBack(theirs)) return;
  if (ours.provider !== provider && status !== "declined")
    faults.push(`order ${reference} was given to ${ours.provider}; ${provider} has ${id} (${status}) of it`);
  if (status !== "declined") authorised.set(reference, (authorised.get(reference) ?? 0) + 1);
  if ((authorised.get(reference) ?? 0) > 1)
    faults.push(`order ${reference}: the provider set money aside for it more than once, again as ${id}`);
  compareMovements(theirs, ours, comparison);
  // What is not known yet at the provider may be there already; the payment says so itself until it is settled.
  if (status === "authorised" && isSettled(ours)) {
    faults.push(
      `order ${reference} is ${ours.orderStatus}, its payment ${ours.status}; at the provider ${id} still holds the money`,
    );
  }
}

function compareMovements(theirs: LedgerPayment, ours: OwnPayment, { movements, faults }: Comparison): void {
  for (const movement of theirs.movements) {
    if (movement.refused !== undefined || !movesMoney(movement)) continue;
    const own = movements.get(movement.key);
    movements.delete(movement.key);
    const amountMinor = movement.kind === "refund" ? -movement.amountMinor : movement.amountMinor;
    if (own?.amountMinor === amountMinor && own.currency === theirs.currency && own.orderId === theirs.reference)
      continue;
    if (own === undefined && ours.isOpen !== 0) continue;
    const booked = own === undefined ? "nothing" : `${own.currency} ${own.amountMinor} for the order ${own.orderId}`;
    faults.push(
      `order ${theirs.reference}: the provider moved ${theirs.currency} ${amountMinor} as ${movement.key}, we booked ${booked}`,
    );
  }
}

/** A payment of the order that is not the one in our books: a key that the provider had forgotten was used again. */
const isStray = (provider: string, { id }: LedgerPayment, ours: OwnPayment): boolean =>
  ours.provider !== provider || (ours.providerId !== null && ours.providerId !== id);

/** Whether nothing of it is with us any more. Reconciliation gives strays back; none of their money is in our books. */
const hasGoneBack = ({ status, capturedMinor, refundedMinor }: LedgerPayment): boolean =>
  status !== "authorised" && capturedMinor === refundedMinor;

const movesMoney = ({ kind }: MovementRecord): boolean => kind === "capture" || kind === "refund";

const isSettled = ({ status, isOpen }: OwnPayment): boolean =>
  isOpen === 0 && ["DECLINED", "REVERSED", "CAPTURED"].includes(status);

export const providerChecks: readonly Check[] = [
  {
    id: "provider.ledger",
    invariant: 2,
    title: "The providers' ledgers and ours have the same payments and movements, to the cent.",
    run: compareLedgers,
  },
];
