import type { BuyerId, OrderId } from "@onsale/contracts/ids";
import { orderConfirmed, orderPointsPayable, orderReturned, orderWithdrawn } from "@onsale/contracts/orders";
import type { Delivered } from "@onsale/messaging";
import { as, bigint, type Database, instant, integer, nullable, sql, text, uuid } from "@onsale/postgres";
import { deliver, eventOf, readOutbox, type TestDatabaseContent, testIds } from "@onsale/testing";
import { expect } from "vitest";
import { consumers } from "../src/consumers.ts";
import { wallet } from "../src/index.ts";
import type { MoveKind } from "../src/ledger.ts";
import { borneByTheShop, lotIdOf } from "../src/lot.ts";
import type { OrderPointsState } from "../src/order-points.ts";
import type { WalletPorts } from "../src/ports.ts";
import { storeHolders } from "../src/store/holder.ts";
import { lockPurses, openBalances, storePurses } from "../src/store/purse.ts";

export const content: TestDatabaseContent = { services: [wallet] };

/** A UUID that is told apart by its number and its kind. */
const idOf = (kind: string) => (number: number) => `${kind}-0000-7000-8000-${number.toString(16).padStart(12, "0")}`;
export const orderId = idOf("0000000a");
export const buyerId = idOf("0000000b");
export const returnId = idOf("0000000c");

/** Ports whose ids differ from those of every other call in the test. */
let calls = 0;
export const ports = (): Omit<WalletPorts, "clock"> => ({ ids: testIds(++calls * 1_000_000) });

/** Delivers events to the consumer of that name, through the inbox. */
export async function hear(
  database: Database,
  name: string,
  events: readonly Delivered[],
  own: Partial<WalletPorts> = {},
): Promise<void> {
  const consumer = consumers.find((it) => it.name === `wallet.${name}`);
  if (!consumer) throw new Error(`Nobody is called wallet.${name}.`);
  await deliver(database, consumer, events, { ...ports(), ...own });
}

const currency = "GBP";

export const payable = (number: number, amountMinor: number, { buyer = 1, time = new Date().toISOString() } = {}) =>
  eventOf(
    orderPointsPayable,
    { orderId: orderId(number), buyerId: buyerId(buyer), amountMinor, currency },
    { sequence: 2, time },
  );
export const confirmed = (number: number, { totalMinor = 1_000, pointsMinor = 0, buyer = 1 } = {}) =>
  eventOf(
    orderConfirmed,
    { orderId: orderId(number), buyerId: buyerId(buyer), totalMinor, pointsMinor, currency },
    { sequence: 5 },
  );
export const withdrawn = (number: number) =>
  eventOf(orderWithdrawn, { orderId: orderId(number), reason: "CANCELLED_BY_BUYER" }, { sequence: 90 });
export const returned = (number: number, back: number, { pointsMinor = 0, refundMinor = 0 } = {}) =>
  eventOf(
    orderReturned,
    { orderId: orderId(number), returnId: returnId(back), pointsMinor, refundMinor, currency },
    { sequence: 10 + back },
  );

/** These people have accounts. */
export const register = (database: Database, ...buyers: readonly number[]): Promise<void> =>
  database.transaction((tx) =>
    storeHolders(
      tx,
      buyers.map((buyer) => ({ personId: buyerId(buyer), earns: true })),
    ),
  );

/** Gives a buyer points that end at that moment, or never. Returns the lot's id. */
export async function charge(
  database: Database,
  amountMinor: number,
  { buyer = 1, expiresAt = null as string | null, name = "a lot" } = {},
): Promise<string> {
  const key = { personId: buyerId(buyer), currency };
  const lotId = lotIdOf("CREDIT", name, key.personId);
  await database.transaction(async (tx) => {
    await openBalances(tx, [key]);
    const purses = await lockPurses(tx, [key]);
    purses
      .get(key)
      .charge("CREDITED", { lotId, source: "CREDIT", bearers: borneByTheShop, expiresAt }, amountMinor, {});
    await storePurses(tx, purses);
  });
  return lotId;
}

const booksSql = sql("test.wallet-books", {
  takes: [],
  gives: {
    personId: as<BuyerId>(uuid),
    currency: text,
    available: bigint,
    held: bigint,
    debt: bigint,
    ledgerAvailable: bigint,
    ledgerHeld: bigint,
    ledgerDebt: bigint,
    lots: bigint,
    ordersHold: bigint,
  },
})`
  select b.person_id as "personId", b.currency, b.available_minor as available, b.held_minor as held, b.debt_minor as debt,
    coalesce(moved.available, 0)::bigint as "ledgerAvailable", coalesce(moved.held, 0)::bigint as "ledgerHeld",
    coalesce(moved.debt, 0)::bigint as "ledgerDebt",
    (select coalesce(sum(remaining_minor), 0) from wallet.lot l
      where l.person_id = b.person_id and l.currency = b.currency)::bigint as lots,
    (select coalesce(sum(p.amount_minor - p.given_back_minor), 0)
      from wallet.order_points o join wallet.order_part p using (order_id)
      where o.person_id = b.person_id and o.currency = b.currency and o.state = 'HELD')::bigint as "ordersHold"
  from wallet.balance b
  left join (
    select person_id, currency, sum(available_minor) as available, sum(held_minor) as held, sum(debt_minor) as debt
    from wallet.entry group by person_id, currency) as moved
    on moved.person_id = b.person_id and moved.currency = b.currency
  order by b.person_id`;

/** Balances by buyer as `[available, held, debt]`, once balance, lots, orders and ledger were seen to agree. */
export async function books(database: Database): Promise<Record<number, [number, number, number]>> {
  const rows = await database.query(booksSql, []);
  for (const { personId, available, held, debt, ...others } of rows) {
    expect({ personId, ...others }).toEqual({
      ...{ personId, currency, lots: available, ordersHold: held },
      ...{ ledgerAvailable: available, ledgerHeld: held, ledgerDebt: debt },
    });
  }
  return Object.fromEntries(
    rows.map(({ personId, available, held, debt }) => [numberOf(personId), [available, held, debt]]),
  );
}

const numberOf = (id: string): number => Number.parseInt(id.slice(-12), 16);

const statesSql = sql("test.wallet-orders", {
  takes: [],
  gives: { orderId: as<OrderId>(uuid), state: as<OrderPointsState>(text), version: integer },
})`select order_id as "orderId", state, version from wallet.order_points order by order_id`;

/** The state of every order's points, by its number. */
export async function states(database: Database): Promise<Record<number, OrderPointsState>> {
  const rows = await database.query(statesSql, []);
  return Object.fromEntries(rows.map(({ orderId, state }) => [numberOf(orderId), state]));
}

const movementsSql = sql("test.wallet-movements", {
  takes: [],
  gives: { kind: as<MoveKind>(text), orderId: nullable(as<OrderId>(uuid)), moved: bigint, sum: bigint },
})`
  select kind, order_id as "orderId",
    greatest(abs(available_minor), abs(held_minor), abs(debt_minor), abs(voucher_minor)) as moved,
    available_minor + held_minor - debt_minor + voucher_minor + shop_minor as sum
  from wallet.entry order by position`;

/** The ledger as `KIND amount order`, once every line was seen to sum to zero. */
export async function ledger(database: Database): Promise<string[]> {
  const rows = await database.query(movementsSql, []);
  expect(rows.filter(({ sum }) => sum !== 0)).toEqual([]);
  return rows.map(({ kind, moved, orderId }) => `${kind} ${moved}${orderId === null ? "" : ` ${numberOf(orderId)}`}`);
}

const lotsSql = sql("test.wallet-lots", {
  takes: [],
  gives: { lotId: uuid, remaining: bigint, expiresAt: nullable(instant) },
})`
  select lot_id as "lotId", remaining_minor as remaining, expires_at as "expiresAt" from wallet.lot order by expires_at, lot_id`;

/** What is left in each lot, by its id. */
export async function lots(database: Database): Promise<Record<string, number>> {
  const rows = await database.query(lotsSql, []);
  return Object.fromEntries(rows.map(({ lotId, remaining }) => [lotId, remaining]));
}

/** When each lot ends, by its id. */
export async function ends(database: Database): Promise<Record<string, string | null>> {
  const rows = await database.query(lotsSql, []);
  return Object.fromEntries(rows.map(({ lotId, expiresAt }) => [lotId, expiresAt]));
}

/** What was told, in order, as `type order amount`; every order's sequence is seen to count from 1 without a gap. */
export async function told(database: Database): Promise<string[]> {
  const events = await readOutbox(database);
  const heads = new Map<string, number>();
  for (const { key, sequence } of events) {
    expect({ key, sequence }).toEqual({ key, sequence: (heads.get(key) ?? 0) + 1 });
    heads.set(key, sequence);
  }
  return events.map(({ type, key, data }) => {
    const { amountMinor, returnedMinor } = data as { amountMinor?: number; returnedMinor?: number };
    return [type.replace(/\.v1$/, ""), numberOf(key), amountMinor ?? returnedMinor]
      .filter((it) => it !== undefined)
      .join(" ");
  });
}
