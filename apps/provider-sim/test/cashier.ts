/**
 * A process that serves the payments of a number of orders until all of them have ended, as the service does: what each
 * order wants, one after the other, by its consumer; what is unknown by its job. It knows nothing but what the database
 * has, so it can be killed at any moment and started again.
 *
 *     node cashier.ts ADMIN_URL PROVIDER_URL API_SECRET ORDERS
 */

import { orderPayable, orderSecured, orderWithdrawn } from "@onsale/contracts/orders";
import type { Delivered, EachConsumer } from "@onsale/messaging";
import { type PaymentsPorts, payments } from "@onsale/payments";
import { createCardProvider } from "@onsale/payments/card-provider";
import { defaultAnomalyRule } from "@onsale/payments/ports";
import { bigint, type Database, databaseNow, openDatabase, sql, text, uuid } from "@onsale/postgres";
import { ids } from "@onsale/runtime";

const [, , adminUrl = "", url = "", apiSecret = "", count = "0"] = process.argv;

const database = openDatabase({
  url: adminUrl,
  schema: "payments",
  role: "onsale_payments",
  connections: 4,
  applicationName: "cashier",
});
const ports: PaymentsPorts = {
  ids,
  clock: { now: () => new Date().toISOString() },
  providers: [
    { name: "card-a", card: createCardProvider({ url, apiSecret, attemptTimeoutMs: 300 }), webhookSecrets: [] },
  ],
  anomalies: defaultAnomalyRule,
  askingAgain: { firstMs: 50, longestMs: 200, overdueMs: 60_000 },
};

const statesSql = sql("cashier.states", { takes: [], gives: { orderId: uuid, status: text, version: bigint } })`
  select order_id as "orderId", status, version from payments.payment`;

const openSql = sql("cashier.open", { takes: [], gives: { count: bigint } })`
  select count(*) as count from payments.payment where ask_movement is not null`;

/**
 * What an order wants next. What a process that was killed did not settle is heard again, as a feed repeats it. Every third
 * order is withdrawn, half of those while they are captured.
 */
function nextEvent(number: number, status: string | undefined): Delivered | undefined {
  const orderId = `0192f0c1-0000-7000-8000-${number.toString().padStart(12, "0")}`;
  const withdrawn = event(orderWithdrawn, { orderId, reason: "CANCELLED_BY_BUYER" }, 9);
  const isWithdrawn = number % 3 === 0;
  switch (status) {
    case undefined:
    case "AUTHORISING":
      return event(orderPayable, { ...orderPayable.sample, orderId }, 2);
    case "AUTHORISED":
      return isWithdrawn && number % 2 === 1 ? withdrawn : event(orderSecured, { orderId }, 4);
    case "CAPTURING":
      return isWithdrawn ? withdrawn : event(orderSecured, { orderId }, 4);
    case "CAPTURED":
      return isWithdrawn ? withdrawn : undefined;
    case "REVERSED":
    case "REVERSING":
      return undefined;
    default:
      return withdrawn;
  }
}

const event = (
  definition: { type: string },
  data: { readonly orderId: string; readonly [field: string]: unknown },
  sequence: number,
): Delivered =>
  ({
    id: `${data.orderId.slice(0, -1)}${sequence}`,
    type: definition.type,
    source: "orders",
    incarnation: "0192f0c1-0000-7000-8000-000000000009",
    key: data.orderId,
    sequence,
    lane: "online",
    time: "2026-11-21T09:00:00.000Z",
    cause: { correlationId: data.orderId },
    data,
  }) as Delivered;

const never = new AbortController().signal;
const moveMoney = payments.consumers[0] as EachConsumer<PaymentsPorts>;
const askAgain = payments.jobs.find(({ name }) => name === "payments.ask-again");

async function serve(events: readonly Delivered[]): Promise<void> {
  const at = async (queryable: Parameters<typeof databaseNow>[0]) => {
    const now = await databaseNow(queryable);
    return { ...ports, clock: { now: () => now } };
  };
  const prepared = await database.transaction(async (tx) => moveMoney.prepare(tx, events, await at(tx)));
  console.log(`prepared ${prepared.length}`);
  const settled = await Promise.all(
    prepared.map(async ({ eventId, work }) => ({
      event: events.find(({ id }) => id === eventId) as Delivered,
      work,
      outcome: await moveMoney.call(work, ports, never),
    })),
  );
  console.log(`asked ${settled.length}`);
  if (settled.length > 0) await database.transaction(async (tx) => moveMoney.settle(tx, settled, await at(tx)));
}

async function wanted(database: Database): Promise<Delivered[]> {
  const states = new Map(
    (await database.query(statesSql, [])).map(({ orderId, status }) => [Number(orderId.slice(-12)), status]),
  );
  return Array.from({ length: Number(count) }, (_, index) => nextEvent(index + 1, states.get(index + 1))).filter(
    (it) => it !== undefined,
  );
}

for (;;) {
  const events = await wanted(database);
  const isOver = events.length === 0 && (await database.query(openSql, []))[0]?.count === 0;
  if (isOver) break;
  await serve(events.slice(0, 40));
  await askAgain?.run({ database, ports, feeds: { passed: async () => true } }, never);
}
console.log("over");
process.exit(0);
