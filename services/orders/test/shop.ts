import { productPublished } from "@onsale/contracts/catalog";
import {
  stockConfirmed,
  stockLapsed,
  stockRejected,
  stockReleased,
  stockReserved,
  stockRestocked,
} from "@onsale/contracts/inventory";
import {
  paymentAuthorised,
  paymentCaptured,
  paymentCaptureRefused,
  paymentDeclined,
  paymentRefunded,
  paymentReversed,
  paymentReversing,
} from "@onsale/contracts/payments";
import { pointsHeld, pointsRefunded, pointsRefused, pointsReleased } from "@onsale/contracts/wallet";
import type { Delivered, EventDefinition } from "@onsale/messaging";
import { bigint, type Database, instant, integer, nullable, type Queryable, sql, text, uuid } from "@onsale/postgres";
import { deliver, eventOf, readOutbox, type TestDatabaseContent, testIds } from "@onsale/testing";
import { consumers } from "../src/consumers.ts";
import { orders } from "../src/index.ts";
import { inspectReturn } from "../src/inspect-return.ts";
import type { HeardEvent } from "../src/news.ts";
import type { StepTimeoutsMs } from "../src/order-saga.ts";
import { type Placement, type PlacementOutcome, placeOrders } from "../src/place-orders.ts";
import type { Finding } from "../src/return-inspection.ts";
import { returnLines } from "../src/return-lines.ts";
import type { ReturnKind } from "../src/returns.ts";
import { readReturn } from "../src/store/order-return.ts";
import { saveProducts } from "../src/store/product.ts";
import { insertPolicy } from "../src/store/return-policy.ts";

export const content: TestDatabaseContent = { services: [orders] };

const idOf = (kind: string) => (number: number) => `${kind}-0000-7000-8000-${number.toString(16).padStart(12, "0")}`;
export const personId = idOf("0000000b");

/** Ports whose ids are above those of every other call in the test. */
let calls = 0;
export const ports = (stepTimeoutsMs: StepTimeoutsMs = {}) => ({
  ids: testIds(++calls * 1_000_000),
  clock: {
    now: (): string => {
      throw new Error("Only a consumer has a clock.");
    },
  },
  stepTimeoutsMs,
});

/** What the shop sells: prices in pence. */
export const prices: Record<string, number> = { mug: 255, cup: 100, pot: 1_000 };

export const sell = (shop: Database, products: Record<string, number> = prices, currency = "GBP") =>
  shop.transaction((tx) =>
    saveProducts(
      tx,
      Object.entries(products).map(([sku, priceMinor]) => ({ sku, priceMinor, currency, sequence: 1 })),
    ),
  );

/** A wish of the person with this number, under a key of its own unless one is given. */
export const wish = (
  number: number,
  { key = `key-${number}`, ...rest }: Partial<Placement> & { key?: string } = {},
): Placement => {
  const lines = rest.lines ?? [{ sku: "mug", quantity: 2 }];
  return {
    claim: { personId: personId(number), key, fingerprint: JSON.stringify(lines) },
    buyerId: personId(number),
    currency: "GBP",
    lines,
    payment: { method: "card", pointsMinor: null },
    holdIds: [],
    cause: { correlationId: `request-${number}` },
    ...rest,
  };
};

export const place = (shop: Database, ...wishes: Placement[]): Promise<PlacementOutcome[]> =>
  shop.transaction((tx) => placeOrders(tx, wishes, ports()));

/** Places one order and gives its id. */
export async function placeOne(shop: Database, ...wanted: Parameters<typeof wish>): Promise<string> {
  const [outcome] = await place(shop, wish(...wanted));
  if (outcome?.kind !== "accepted") throw new Error(`The order was not accepted: ${JSON.stringify(outcome)}`);
  return outcome.answer.orderId;
}

/** Delivers events to the consumer of that name, through the inbox. */
export async function deliverTo(
  shop: Database,
  name: string,
  events: readonly Delivered[],
  timeouts: StepTimeoutsMs = {},
): Promise<void> {
  const consumer = consumers.find((it) => it.name === `orders.${name}`);
  if (!consumer) throw new Error(`Nobody is called orders.${name}.`);
  await deliver(shop, consumer, events, ports(timeouts));
}

/** How each event that orders hear is called here. */
const words = {
  reserved: [stockReserved, "inventory", 1],
  rejected: [stockRejected, "inventory", 1],
  confirmed: [stockConfirmed, "inventory", 2],
  lapsed: [stockLapsed, "inventory", 2],
  released: [stockReleased, "inventory", 4],
  restocked: [stockRestocked, "inventory", 3],
  authorised: [paymentAuthorised, "payments", 1],
  declined: [paymentDeclined, "payments", 1],
  captured: [paymentCaptured, "payments", 2],
  captureRefused: [paymentCaptureRefused, "payments", 2],
  refunded: [paymentRefunded, "payments", 3],
  reversing: [paymentReversing, "payments", 4],
  reversed: [paymentReversed, "payments", 5],
  pointsHeld: [pointsHeld, "wallet", 1],
  pointsRefused: [pointsRefused, "wallet", 1],
  pointsRefunded: [pointsRefunded, "wallet", 3],
  pointsReleased: [pointsReleased, "wallet", 4],
} as const satisfies Record<string, readonly [EventDefinition, string, number]>;

export type Word = keyof typeof words;
export const allWords = Object.keys(words) as readonly Word[];

/** What inventory or payments tell about an order. */
export function told(word: Word, orderId: string, data: Record<string, unknown> = {}): HeardEvent {
  const [definition, source, sequence] = words[word];
  return eventOf<EventDefinition>(definition, { orderId, ...data }, { sequence, source }) as HeardEvent;
}

/** Orders hear this about one order, each in a batch of its own. */
export async function hearAll(
  shop: Database,
  orderId: string,
  ...news: (Word | readonly [Word, Record<string, unknown>])[]
): Promise<void> {
  for (const it of news) {
    const [word, data] = typeof it === "string" ? [it, {}] : it;
    await deliverTo(shop, "advance", [told(word, orderId, data)]);
  }
}

export const toConfirmed = (amountMinor: number) =>
  ["reserved", "authorised", "confirmed", ["captured", { amountMinor }]] as const;

/** Ways to pay, as a buyer names them. */
export const withPoints = { payment: { method: "wallet", pointsMinor: null } } as const;
export const withBoth = (pointsMinor: number) => ({ payment: { method: "split", pointsMinor } }) as const;

export const published = (sku: string, priceMinor: number, sequence: number): Delivered<typeof productPublished> =>
  eventOf(productPublished, { sku, priceMinor, currency: "GBP" }, { sequence, source: "catalog" });

const orderSql = sql("test.order", {
  takes: [uuid],
  gives: {
    status: text,
    reason: nullable(text),
    progress: text,
    version: integer,
    eventSequence: integer,
    paidMinor: bigint,
    refundedMinor: bigint,
    paidPointsMinor: bigint,
    refundedPointsMinor: bigint,
  },
})`
  select status, reason, progress, version, event_sequence as "eventSequence", paid_minor as "paidMinor",
    refunded_minor as "refundedMinor", paid_points_minor as "paidPointsMinor", refunded_points_minor as "refundedPointsMinor"
  from orders.orders where order_id = $1`;

export async function orderOf(shop: Database, orderId: string) {
  const [order] = await shop.query(orderSql, [orderId]);
  if (!order) throw new Error(`There is no order ${orderId}.`);
  return order;
}

/** What was told about an order, in order, without the version of its types. */
export async function toldOf(shop: Database, orderId: string): Promise<string[]> {
  const events = (await readOutbox(shop)).filter(({ key }) => key === orderId);
  return events.map(({ type }) => type.replace(/\.v1$/, ""));
}

const historySql = sql("test.order-history", {
  takes: [uuid],
  gives: { what: text, status: text, told: nullable(text), version: integer },
})`
  select what, status, told, version from orders.order_history where order_id = $1 order by version`;

export const historyOf = (shop: Database, orderId: string) => shop.query(historySql, [orderId]);

const deadlinesSql = sql("test.order-deadlines", {
  takes: [],
  gives: { key: text, wait: text, awaits: text, dueAt: instant },
})`
  select key, wait, awaits, due_at as "dueAt" from orders.saga_deadline order by key, wait`;

export const deadlinesIn = (shop: Database) => shop.query(deadlinesSql, []);

const faultsSql = sql("test.order-faults", { takes: [], gives: { fault: text } })`
  select o.order_id || ': history is not contiguous' as fault
  from orders.orders o join lateral (
    select count(*) as steps, coalesce(max(version), 0) as last from orders.order_history h where h.order_id = o.order_id
  ) h on true
  where h.steps <> o.version or h.last <> o.version
  union all
  select o.order_id || ': what history says was told is not what was told'
  from orders.orders o
  where (select array_agg(told order by version) filter (where told is not null) from orders.order_history h where h.order_id = o.order_id)
    is distinct from
    (select array_agg(type order by sequence) from orders.outbox_online e where e.aggregateid = o.order_id::text)
  union all
  select o.order_id || ': events are not contiguous'
  from orders.orders o join lateral (
    select count(*) as events, coalesce(max(sequence), 0) as last, count(distinct sequence) as distinct_events
    from orders.outbox_online e where e.aggregateid = o.order_id::text
  ) e on true
  where e.events <> o.event_sequence or e.last <> o.event_sequence or e.distinct_events <> e.events
  union all
  select o.order_id || ': lines do not add up to the total'
  from orders.orders o
  where o.total_minor <> (select coalesce(sum(quantity * unit_price_minor), 0) from orders.order_line l where l.order_id = o.order_id)
    + (select coalesce(sum(case kind when 'DISCOUNT' then -amount_minor when 'TAX' then amount_minor else 0 end), 0)
      from orders.order_allocation a where a.order_id = o.order_id)
  union all
  select o.order_id || ': points of the lines are not the points of the order'
  from orders.orders o
  where o.points_minor <> (select coalesce(sum(amount_minor), 0) from orders.order_allocation a where a.order_id = o.order_id and kind = 'POINTS')
  union all
  select o.order_id || ': returned lines are not what returns say'
  from orders.orders o
  where (select coalesce(sum(returned_quantity), 0) from orders.order_line l where l.order_id = o.order_id)
    <> (select coalesce(sum(accepted_quantity), 0) from orders.order_return_line rl join orders.order_return r using (return_id) where r.order_id = o.order_id)
  union all
  select r.order_id || ': more is out on returns than there is'
  from orders.order_return r join orders.order_return_line rl using (return_id)
    join orders.order_line l on l.order_id = r.order_id and l.sku = rl.sku
  where r.state = 'REQUESTED'
  group by r.order_id, l.sku, l.quantity, l.returned_quantity having sum(rl.quantity) + l.returned_quantity > l.quantity
  union all
  select r.order_id || ': what was found is not what was asked for, or not what is given back'
  from orders.order_return r join orders.order_return_line rl using (return_id)
  left join lateral (
    select sum(quantity) as found, sum(quantity) filter (where verdict <> 'REFUSED') as taken
    from orders.order_return_finding f where f.return_id = rl.return_id and f.sku = rl.sku) f on true
  where (case when r.inspected_by is null then f.found is not null or rl.accepted_quantity <> case r.state when 'ACCEPTED' then rl.quantity else 0 end
    else (f.found, coalesce(f.taken, 0)) is distinct from (rl.quantity::bigint, rl.accepted_quantity::bigint) end)
  union all
  select coalesce(r.order_id::text, d.key) || ': a return waits without a deadline, or a deadline without a return'
  from (select * from orders.order_return where state = 'REQUESTED') r
    full join (select * from orders.saga_deadline where saga = 'return') d on d.key = r.return_id::text
  where r.return_id is null or d.key is null or d.due_at <> r.lapses_at
  union all
  select h.order_id || ': history of no order' from orders.order_history h where not exists (select from orders.orders o where o.order_id = h.order_id)`;

/** What is wrong with the books of orders; always nothing. */
export const faultsIn = async (shop: Queryable): Promise<string[]> =>
  (await shop.query(faultsSql, [])).map(({ fault }) => fault);

const heardSql = sql("test.orders-heard", { takes: [text, instant], gives: {} })`
  insert into orders.reader_cursor (reader, source, lane, watermark, system_identifier) values ('orders', $1, 'online', $2, 0)
  on conflict (reader, source, lane, slot) do update set watermark = excluded.watermark`;

/** Orders have heard everything that this service told before the moment. */
export const heard = (shop: Database, source: string, upTo: string) => shop.execute(heardSql, [source, upTo]);

/** Everything is overdue as soon as it is asked; a person is called for what stays owed at once. */
export const impatient: StepTimeoutsMs = {
  ...{ "reserve-stock": 0, "hold-points": 0, "authorise-payment": 0, "confirm-stock": 0, "capture-payment": 0 },
  ...{
    "undo hold-points": 0,
    "owed hold-points": 0,
    "undo authorise-payment": 0,
    "owed authorise-payment": 0,
    "owed reserve-stock": 0,
  },
};

/** From now on somebody looks at what comes back before it is paid for. */
export const inspectFirst = (shop: Database, inspect = true) =>
  insertPolicy(shop, { inspect, lapseAfterDays: 30, changedBy: personId(99) });

interface AskedBack {
  readonly orderId: string;
  readonly buyer: number;
  readonly quantity: number;
  readonly kind?: ReturnKind;
  readonly lapseMs?: number;
}

/** The buyer wants to send mugs back. */
export const askBack = (shop: Database, { orderId, buyer, quantity, kind = "RETURN", lapseMs }: AskedBack) => {
  const lines = [{ sku: "mug", quantity }];
  const wish = {
    orderId,
    buyerId: personId(buyer),
    lines,
    kind,
    cause: { correlationId: "c", causationId: `ask-${++calls}` },
  };
  const given = { ...ports(), ...(lapseMs !== undefined && { returnLapseMs: lapseMs }) };
  return shop.transaction((tx) => returnLines(tx, wish, given));
};

/** Somebody has looked at a return. */
export const inspect = (shop: Database, returnId: string, findings: readonly Finding[], note: string | null = null) => {
  const cause = { correlationId: "c", causationId: `look-${++calls}` };
  return shop.transaction((tx) =>
    inspectReturn(tx, { returnId, findings, note, inspectedBy: personId(99), cause }, ports()),
  );
};

export const stateOfReturn = async (shop: Database, returnId: string) => (await readReturn(shop, returnId))?.state;
