import { setTimeout as sleep } from "node:timers/promises";
import type { SagaStyle } from "@onsale/orders";
import { readSagaStyle } from "@onsale/orders/saga-style";
import { array, bigint, composedSql, identifier, type Queryable, sql, text } from "@onsale/postgres";
import { type Subscription, subscriptions } from "./subscriptions.ts";

/** What is under way at a moment. At rest it is all zero. */
export interface OpenWork {
  readonly pendingOrders: number;
  /** Payments with an open question at the provider, reversals among them. */
  readonly openPayments: number;
  /** Of these, payments of ended orders that are still being given back. */
  readonly reversingPayments: number;
  readonly unsentMessages: number;
  /** Keys that wait for a retry, and keys that wait for a person. */
  readonly parkedKeys: number;
  /** Things that a person was called for. */
  readonly openTasks: number;
  /** Keys of which a reader has not heard all. */
  readonly unheardKeys: number;
}

const openWorkSql = sql("audit.open-work", {
  takes: [],
  gives: {
    pendingOrders: bigint,
    openPayments: bigint,
    reversingPayments: bigint,
    unsentMessages: bigint,
    parkedKeys: bigint,
    openTasks: bigint,
  },
})`
  select (select count(*) from orders.orders where status = 'PENDING') as "pendingOrders",
    (select count(*) from payments.payment where ask_movement is not null) as "openPayments",
    (select count(*) from payments.payment where status in ('WITHDRAWN', 'REVERSING')) as "reversingPayments",
    (select count(*) from notifications.message where status = 'pending') as "unsentMessages",
    (select count(*) from accounts.parked_key) + (select count(*) from catalog.parked_key)
      + (select count(*) from inventory.parked_key) + (select count(*) from orders.parked_key)
      + (select count(*) from payments.parked_key) + (select count(*) from wallet.parked_key)
      + (select count(*) from notifications.parked_key) as "parkedKeys",
    (select count(*) from orders.person_task where closed_at is null)
      + (select count(*) from payments.person_task where closed_at is null)
      + (select count(*) from inventory.person_task where closed_at is null)
      + (select count(*) from wallet.person_task where closed_at is null) as "openTasks"`;

const unheardSql = ({ schema, source }: Pick<Subscription, "schema" | "source">) =>
  composedSql(`audit.unheard-${schema}-${source}`, {
    takes: [text, array(text)],
    gives: { keys: bigint },
    text: `
      select count(*) as keys
      from (
        select aggregatetype, aggregateid, max(sequence) as sequence
        from (
          select aggregatetype, aggregateid, sequence from ${identifier(source)}.outbox_online where type = any($2)
          union all
          select aggregatetype, aggregateid, sequence from ${identifier(source)}.outbox_bulk where type = any($2)) as event
        group by aggregatetype, aggregateid) as told
      left join ${identifier(schema)}.inbox as heard
        on heard.reader = $1 and heard.aggregate = told.aggregatetype and heard.key = told.aggregateid
      where heard.sequence is null or heard.sequence < told.sequence`,
  });

const unheard = (style: SagaStyle) =>
  subscriptions[style].map((subscription) => ({ ...subscription, statement: unheardSql(subscription) }));
const unheardIn = { orchestrated: unheard("orchestrated"), choreographed: unheard("choreographed") };

export async function openWork(tx: Queryable): Promise<OpenWork> {
  const [open] = await tx.query(openWorkSql, []);
  if (!open) throw new Error("Open work was counted in no row.");
  let unheardKeys = 0;
  for (const { statement, reader, types } of unheardIn[await readSagaStyle(tx)]) {
    const [row] = await tx.query(statement, [reader, types]);
    unheardKeys += row?.keys ?? 0;
  }
  return { ...open, unheardKeys };
}

/** Milliseconds between two looks. */
const lookEveryMs = 250;

/** Waits until nothing is under way, at most `waitMs` milliseconds. What waits for a person is not waited for. */
export async function whenQuiet(
  database: Queryable,
  { waitMs, signal }: { readonly waitMs: number; readonly signal: AbortSignal },
): Promise<void> {
  const giveUpAt = performance.now() + waitMs;
  while (!isQuiet(await openWork(database)) && performance.now() < giveUpAt) {
    await sleep(lookEveryMs, undefined, { signal });
  }
}

function isQuiet({ pendingOrders, openPayments, reversingPayments, unsentMessages, unheardKeys }: OpenWork): boolean {
  return pendingOrders + openPayments + reversingPayments + unsentMessages + unheardKeys === 0;
}
