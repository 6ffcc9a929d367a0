/** Orders of one unit, as they lie in the outbox of orders once an intake has accepted them. */

import { orderPlaced } from "@onsale/contracts/orders";
import { ids } from "@onsale/runtime";
import type pg from "pg";

/** Orders of one transaction: as many as a full batch of the intake. */
export const ordersOfTransaction = 1_000;

const { orderId: _, buyerId: __, lines: ___, arrival: ____, ...rest } = orderPlaced.sample;
let tickets = 0;

/** Places orders in one transaction. Written by the server itself: how they come there is not what is measured. */
export async function placeOrders(client: pg.Client, sku: string, orders: number): Promise<void> {
  await client.query({
    name: "place-orders",
    text: `
      insert into orders.outbox_online (id, aggregatetype, aggregateid, type, payload, sequence, headers)
      select uuidv7(), 'order', order_id, '${orderPlaced.type}',
        $1::jsonb || jsonb_build_object('orderId', order_id, 'buyerId', uuidv7(), 'arrival', $2::int + number), 1,
        jsonb_build_object('correlationid', order_id)
      from unnest($3::text[]) with ordinality as placed(order_id, number)`,
    values: [
      JSON.stringify({ ...rest, lines: [{ sku, units: 1, unitPriceMinor: 255 }] }),
      tickets,
      // As the intake gives them.
      Array.from({ length: orders }, () => ids.uuid()),
    ],
  });
  tickets += orders;
}
