import type { OrderId } from "@onsale/contracts/ids";
import type { Queryable } from "@onsale/postgres";
import { keyOf } from "./payment.ts";
import { incidentsOf } from "./store/incident.ts";
import { ledgerOf } from "./store/ledger.ts";
import { readPayments } from "./store/payment.ts";

// A reversal that fails for days gathers one a try; the newest tell enough.
const incidentLimit = 100;

/** Everything that an operator may want to know about an order's payment; undefined where there is none. */
export async function showPayment(database: Queryable, orderId: OrderId) {
  const [payments, ledger, incidents] = await Promise.all([
    readPayments(database, [orderId]),
    ledgerOf(database, orderId),
    incidentsOf(database, orderId, incidentLimit),
  ]);
  const payment = payments.get(orderId);
  if (payment === undefined) return undefined;
  const {
    paymentId,
    status,
    amountMinor,
    currency,
    capturedMinor,
    refundedMinor,
    provider,
    providerId,
    ask,
    returns,
    isUnsettled,
  } = payment;
  const openQuestion = ask && {
    key: keyOf(paymentId, ask.movement),
    amountMinor: ask.amountMinor,
    askedAt: ask.askedAt,
    isUnsettled,
  };
  const money = { amountMinor, currency, capturedMinor, refundedMinor };
  return {
    orderId,
    paymentId,
    status,
    ...money,
    provider,
    providerId,
    openQuestion,
    returns: [...returns],
    ledger,
    incidents,
  };
}
