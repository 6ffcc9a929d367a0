import { stockRejected, stockReserved } from "@onsale/contracts/inventory";
import { withClient } from "../plain-order.ts";

/** Where stock, ledger, holds and events do not agree, or an order has no answer, in words. */
export async function wrongBooks(url: string): Promise<string[]> {
  return await withClient(url, async (client) => {
    const { rows: bySku } = await client.query(
      `select sku, held::float8 as held, coalesce(ledger, 0) as "the ledger", coalesce(holds, 0) as holds, coalesce(told, 0) as events
       from inventory.stock
       left join (select sku, sum(held_delta)::float8 as ledger from inventory.movement group by sku) as moved using (sku)
       left join (select sku, sum(units)::float8 as holds from inventory.hold group by sku) as given using (sku)
       left join (
         select payload #>> '{holds,0,sku}' as sku, sum((payload #>> '{holds,0,units}')::int)::float8 as told
         from inventory.outbox_online where type = $1 group by 1) as announced using (sku)
       order by sku`,
      [stockReserved.type],
    );
    const { rows } = await client.query(
      `select (select count(*)::int from orders.outbox_online) as placed,
         (select count(*)::int from inventory.outbox_online where type = any($1)) as answered,
         (select count(*)::int from inventory.allocation) as decided`,
      [[stockReserved.type, stockRejected.type]],
    );
    if (bySku.length === 0) return ["no SKU is in the books"];
    return [...bySku.flatMap(differing), ...unanswered(rows[0])];
  });
}

type Books = { readonly sku: string; readonly held: number } & Readonly<Record<string, unknown>>;

const differing = ({ sku, held, ...others }: Books): string[] =>
  Object.entries(others).flatMap(([what, count]) =>
    count === held ? [] : [`${held} units of ${sku} are held, by ${what} it is ${count}`],
  );

const unanswered = ({ placed, answered, decided }: { placed: number; answered: number; decided: number }): string[] =>
  placed > 0 && placed === answered && placed === decided
    ? []
    : [`${placed} orders were placed, ${decided} decided, ${answered} answered`];
