/** Events that lie in the outbox and that nobody has read yet, written in SQL: how they came there is not what is measured. */

import { aggregateOf } from "@onsale/messaging";
import { withClient } from "../plain-order.ts";
import { source, writtenLogBytes } from "./ground.ts";
import { noteFor, orderPlaced } from "./order-event.ts";

/** Events of one transaction: some between an order's one and a batch's thousand. */
export const eventsOfTransaction = 100;

export interface Filled {
  readonly events: number;
  /** Of the write-ahead log, for each event. */
  readonly logBytesPerEvent: number;
}

/** Publishes events, each of a key of its own, rounded up to whole transactions. */
export async function fillOutbox(
  url: string,
  { events, payloadBytes }: { events: number; payloadBytes: number },
): Promise<Filled> {
  const transactions = Math.ceil(events / eventsOfTransaction);
  const before = await writtenLogBytes(url);
  await withClient(url, (client) => client.query(fillSql(transactions, noteFor(payloadBytes))));
  const written = (await writtenLogBytes(url)) - before;
  const filled = transactions * eventsOfTransaction;
  return { events: filled, logBytesPerEvent: Math.round(written / filled) };
}

const fillSql = (transactions: number, note: string): string => `
  do $$ begin
    for transaction in 1..${transactions} loop
      insert into ${source}.outbox_online (id, aggregatetype, aggregateid, type, payload, sequence, headers)
      select gen_random_uuid(), '${aggregateOf(orderPlaced.type)}', order_id, '${orderPlaced.type}',
        jsonb_build_object('orderId', order_id, 'note', '${note}'), 1, jsonb_build_object('correlationid', order_id)
      from (select gen_random_uuid()::text as order_id from generate_series(1, ${eventsOfTransaction})) as placed;
      commit;
    end loop;
  end $$`;
