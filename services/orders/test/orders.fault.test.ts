import { idempotently } from "@onsale/http";
import { type Database, databaseNow, sql, text } from "@onsale/postgres";
import { everyCrashPoint } from "@onsale/testing";
import { test } from "vitest";
import { endOverdueOrders } from "../src/end-overdue-orders.ts";
import { lapseReturns } from "../src/lapse-returns.ts";
import { placeOrders } from "../src/place-orders.ts";
import { returnLines } from "../src/return-lines.ts";
import {
  askBack,
  content,
  deliverTo,
  faultsIn,
  hearAll,
  heard,
  impatient,
  inspect,
  inspectFirst,
  personId,
  placeOne,
  ports,
  sell,
  toConfirmed,
  told,
  wish,
} from "./shop.ts";

// Each point gets a database of its own, twice over.
const patience = 180_000;

const everythingSql = sql("test.orders-everything", { takes: [], gives: { row: text } })`
  select 'order ' || arrival_rank || ' ' || status || ' ' || progress || ' ' || version || ' ' || event_sequence as row from (
    select *, row_number() over (order by arrival) as arrival_rank from orders.orders) o
  union all select 'told ' || type || ' ' || sequence from orders.outbox_online
  union all select 'key ' || key from orders.idempotency_record
  union all select 'deadline ' || wait from orders.saga_deadline
  union all select 'return ' || state || ' ' || refund_minor || ' ' || points_minor || ' ' || coalesce(reason, '') from orders.order_return
  union all select 'found ' || verdict || ' ' || quantity from orders.order_return_finding
  union all select 'line ' || sku || ' ' || quantity || ' ' || returned_quantity from orders.order_line`;

/** Everything that a use case may leave behind, without ids and times; and what is wrong with it. */
async function everything(shop: Database) {
  const rows = (await shop.query(everythingSql, [])).map(({ row }) => row).sort();
  return { rows, faults: await faultsIn(shop) };
}

test("intake: a batch that is broken off anywhere and sent again is placed once", { timeout: patience }, async () => {
  await everyCrashPoint({
    content,
    schema: "orders",
    prepare: (shop) => sell(shop),
    deliver: async (shop) => {
      const batch = [wish(1), wish(2, { lines: [{ sku: "unicorn", quantity: 1 }] }), wish(3), wish(3)];
      await shop.transaction((tx) => placeOrders(tx, batch, ports()));
    },
    outcome: everything,
  });
});

test("saga: a batch that is broken off anywhere and delivered again moves its orders once", {
  timeout: patience,
}, async () => {
  let ids: string[] = [];
  await everyCrashPoint({
    content,
    schema: "orders",
    prepare: async (shop) => {
      await sell(shop);
      ids = [await placeOne(shop, 1), await placeOne(shop, 2), await placeOne(shop, 3)];
      await hearAll(shop, ids[1] ?? "", "reserved");
      await hearAll(shop, ids[2] ?? "", "reserved", "authorised", "confirmed");
    },
    deliver: async (shop) => {
      const [first = "", second = "", third = ""] = ids;
      await deliverTo(shop, "advance", [
        told("reserved", first),
        told("declined", second),
        told("reversed", second, { refundedMinor: 0 }),
        told("captured", third, { amountMinor: 510 }),
      ]);
    },
    outcome: everything,
  });
});

test("deadlines: a run that is broken off anywhere and comes again ends its orders once", {
  timeout: patience,
}, async () => {
  const endOverdue = (shop: Database) => endOverdueOrders(shop, ports(impatient), new AbortController().signal);
  await everyCrashPoint({
    content,
    schema: "orders",
    prepare: async (shop) => {
      await sell(shop);
      await shop.transaction((tx) => placeOrders(tx, [wish(1), wish(2)], ports(impatient)));
      // The look; it finds both orders unanswered.
      await endOverdue(shop);
      await heard(shop, "inventory", await databaseNow(shop));
    },
    deliver: endOverdue,
    outcome: async (shop) => {
      const { rows, faults } = await everything(shop);
      // The order still looks at the clock until its last deadline is met: how often depends on the moment.
      return { rows: rows.filter((row) => row !== "deadline look"), faults };
    },
  });
});

test("returns: one that is broken off anywhere and asked again is taken once", { timeout: patience }, async () => {
  let bought = "";
  await everyCrashPoint({
    content,
    schema: "orders",
    prepare: async (shop) => {
      await sell(shop);
      bought = await placeOne(shop, 2);
      await hearAll(shop, bought, ...toConfirmed(510));
    },
    deliver: async (shop) => {
      const claim = { personId: personId(2), key: "one-return", fingerprint: "one" };
      const wanted = { lines: [{ sku: "mug", quantity: 1 }], cause: { correlationId: "a-click" } };
      const wishOfReturn = { orderId: bought, buyerId: personId(2), kind: "RETURN", ...wanted } as const;
      await idempotently(shop, claim, async (tx) => ({
        status: 202,
        body: await returnLines(tx, wishOfReturn, ports()),
      }));
    },
    outcome: everything,
  });
});

test("inspection: one that is broken off anywhere and said again is taken once", { timeout: patience }, async () => {
  let returnId = "";
  await everyCrashPoint({
    content,
    schema: "orders",
    prepare: async (shop) => {
      returnId = await asked(shop);
    },
    deliver: async (shop) => {
      const [one, other] = [
        { reason: null, verdict: "QUARANTINED" } as const,
        { reason: "USED", verdict: "REFUSED" } as const,
      ];
      await inspect(shop, returnId, [
        { sku: "mug", quantity: 1, ...one },
        { sku: "mug", quantity: 1, ...other },
      ]);
    },
    outcome: everything,
  });
});

test("lapsing: a run that is broken off anywhere and comes again ends a return once", {
  timeout: patience,
}, async () => {
  await everyCrashPoint({
    content,
    schema: "orders",
    prepare: async (shop) => {
      await asked(shop, 0);
    },
    deliver: (shop) => lapseReturns(shop, ports(), new AbortController().signal),
    outcome: everything,
  });
});

/** A return of two mugs that somebody has to look at. */
async function asked(shop: Database, lapseMs?: number): Promise<string> {
  await sell(shop);
  await inspectFirst(shop);
  const orderId = await placeOne(shop, 2);
  await hearAll(shop, orderId, ...toConfirmed(510));
  const outcome = await askBack(shop, { orderId, buyer: 2, quantity: 2, ...(lapseMs !== undefined && { lapseMs }) });
  return outcome.kind === "requested" ? outcome.returnId : "";
}
