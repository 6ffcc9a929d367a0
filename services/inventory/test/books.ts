import type { OrderId, Sku } from "@onsale/contracts/ids";
import { orderPlaced } from "@onsale/contracts/orders";
import type { Delivered } from "@onsale/messaging";
import { as, bigint, type Database, integer, nullable, sql, text, uuid } from "@onsale/postgres";
import { deliver, eventOf, readOutbox, type TestDatabaseContent, testIds } from "@onsale/testing";
import { expect } from "vitest";
import type { AllocationState } from "../src/allocation.ts";
import { consumers } from "../src/consumers.ts";
import { inventory } from "../src/index.ts";
import { fewestLocations, mainLocation } from "../src/location.ts";
import type { InventoryPorts } from "../src/ports.ts";
import { receiveGoods } from "../src/receive-goods.ts";
import type { HoldRequest } from "../src/take-holds.ts";

export const content: TestDatabaseContent = { services: [inventory] };

const cause = { correlationId: "a-test" };

/** A UUID that is told apart by its number and its kind. */
const idOf = (kind: string) => (number: number) => `${kind}-0000-7000-8000-${number.toString(16).padStart(12, "0")}`;
export const orderId = idOf("0000000a");
export const buyerId = idOf("0000000b");
export const returnId = idOf("0000000c");

/** Ports whose ids differ from those of every other call in the test. */
let calls = 0;
export const ports = () => ({ ids: testIds(++calls * 1_000_000), chooseLocations: fewestLocations });

/** Delivers events to the consumer of that name, through the inbox. */
export async function hear(
  database: Database,
  name: string,
  events: readonly Delivered[],
  more: Pick<InventoryPorts, "gate"> = {},
): Promise<void> {
  const consumer = consumers.find((it) => it.name === `inventory.${name}`);
  if (!consumer) throw new Error(`Nobody is called inventory.${name}.`);
  await deliver(database, consumer, events, { ...ports(), ...more });
}

export const placed = (number: number, lines: Record<Sku, number>, buyer = number) =>
  eventOf(orderPlaced, {
    orderId: orderId(number),
    buyerId: buyerId(buyer),
    arrival: number,
    lines: Object.entries(lines).map(([sku, units]) => ({ sku, units, unitPriceMinor: 100 })),
  });

export async function receive(
  database: Database,
  stock: Record<Sku, number>,
  location: string = mainLocation,
): Promise<void> {
  for (const [sku, units] of Object.entries(stock)) {
    const delivery = { sku, units, location, receiptNumber: null, inspect: false, receivedBy: buyerId(0), cause };
    await database.transaction((tx) => receiveGoods(tx, delivery, ports()));
  }
}

/** A wish of a buyer: pieces by number, units by their names. */
export const holdRequest = (buyer: number, wanted: Record<string, number | string[]>, key = "k"): HoldRequest => ({
  claim: { personId: buyerId(buyer), key, fingerprint: JSON.stringify(wanted) },
  buyerId: buyerId(buyer),
  units: new Map(Object.entries(wanted).map(([sku, it]) => [sku, typeof it === "number" ? it : it.length])),
  names: new Map(Object.entries(wanted).flatMap(([sku, it]) => (typeof it === "number" ? [] : [[sku, it]]))),
  holdMs: 60_000,
  cause,
});

const booksSql = sql("test.inventory-books", {
  takes: [],
  gives: {
    sku: as<Sku>(text),
    received: bigint,
    held: bigint,
    sold: bigint,
    ledgerReceived: bigint,
    ledgerHeld: bigint,
    ledgerSold: bigint,
    ordersHold: bigint,
    ordersOwn: bigint,
    quarantined: bigint,
    ledgerQuarantined: bigint,
    inTransit: bigint,
    ledgerInTransit: bigint,
    strayPlaces: bigint,
    strayUnits: bigint,
  },
})`
  select s.sku, s.received, s.held, s.sold, s.quarantined, s.in_transit as "inTransit",
    (select coalesce(sum(in_transit_delta), 0) from inventory.movement m where m.sku = s.sku)::bigint
      as "ledgerInTransit",
    -- By name: the ledger of each unit says what it is, and whose.
    (select count(*) from (
      select unit, sum(received_delta) as received, sum(held_delta) as held, sum(sold_delta) as sold
      from inventory.movement m where m.sku = s.sku and m.unit is not null group by unit) as moved
      full join (select u.unit, u.state, a.state as holder from inventory.unit u
        left join inventory.hold h using (hold_id) left join inventory.allocation a using (allocation_id)
        where u.sku = s.sku) as named using (unit)
      where (moved.received, moved.held, moved.sold, holder) is distinct from
        ((named.state <> 'GONE')::int, (named.state = 'HELD')::int, (named.state = 'SOLD')::int,
          case when named.state not in ('FREE', 'GONE') then named.state end))
      + (select case when s.identified then s.received else 0 end - count(*) from inventory.unit u
        where u.sku = s.sku and u.state <> 'GONE')
      as "strayUnits",
    -- By location: its own ledger, and the orders' holds there; where there are no locations nothing moved elsewhere.
    (select count(*) from (
      select location, sum(received_delta) as received, sum(held_delta) as held, sum(sold_delta) as sold,
        sum(quarantined_delta) as quarantined, sum(in_transit_delta) as in_transit
      from inventory.movement m where m.sku = s.sku group by location) as moved
      full join (select * from inventory.stock_at p where p.sku = s.sku) as at using (location)
      where case when s.located
        then (coalesce(moved.received, 0), coalesce(moved.held, 0), coalesce(moved.sold, 0),
            coalesce(moved.quarantined, 0), coalesce(moved.in_transit, 0))
          is distinct from (at.received, at.held, at.sold, at.quarantined, at.in_transit)
        else location <> 'main' or at.location is not null end) as "strayPlaces",
    (select coalesce(sum(quarantined_delta), 0) from inventory.movement m where m.sku = s.sku)::bigint
      as "ledgerQuarantined",
    (select coalesce(sum(received_delta), 0) from inventory.movement m where m.sku = s.sku)::bigint as "ledgerReceived",
    (select coalesce(sum(held_delta), 0) from inventory.movement m where m.sku = s.sku)::bigint as "ledgerHeld",
    (select coalesce(sum(sold_delta), 0) from inventory.movement m where m.sku = s.sku)::bigint as "ledgerSold",
    (select coalesce(sum(h.units), 0) from inventory.hold h join inventory.allocation a using (allocation_id)
      where h.sku = s.sku and a.state = 'HELD')::bigint as "ordersHold",
    (select coalesce(sum(h.units - h.returned_units), 0) from inventory.hold h join inventory.allocation a using (allocation_id)
      where h.sku = s.sku and a.state = 'SOLD')::bigint as "ordersOwn"
  from inventory.stock s order by s.sku`;

/** Stock per SKU as `[received, held, sold]`, once stock, ledger and the orders' holds were seen to agree. */
export async function books(database: Database): Promise<Record<Sku, [number, number, number]>> {
  const rows = await database.query(booksSql, []);
  for (const { sku, received, held, sold, quarantined, inTransit, ...others } of rows) {
    expect({ sku, ...others }).toEqual({
      ...{
        sku,
        ledgerQuarantined: quarantined,
        ledgerInTransit: inTransit,
        strayPlaces: 0,
        strayUnits: 0,
        ledgerReceived: received,
        ledgerHeld: held,
        ledgerSold: sold,
      },
      ...{ ordersHold: held, ordersOwn: sold },
    });
  }
  return Object.fromEntries(rows.map(({ sku, received, held, sold }) => [sku, [received, held, sold]]));
}

const allocationsSql = sql("test.inventory-allocations", {
  takes: [],
  gives: { orderId: as<OrderId>(uuid), state: as<AllocationState>(text), version: integer, expiresAt: nullable(text) },
})`
  select allocation_id as "orderId", state, version, expires_at::text as "expiresAt"
  from inventory.allocation where kind = 'ORDER' order by allocation_id`;

/** The state of every order, by its number. */
export async function states(database: Database): Promise<Record<number, AllocationState>> {
  const rows = await database.query(allocationsSql, []);
  return Object.fromEntries(rows.map(({ orderId, state }) => [Number.parseInt(orderId.slice(-12), 16), state]));
}

/** What was told, in order, as `type key`; every key's sequence is seen to count from 1 without a gap. */
export async function told(database: Database): Promise<string[]> {
  const events = await readOutbox(database);
  const heads = new Map<string, number>();
  for (const { type, key, sequence } of events) {
    const aggregate = `${type.split(".")[0]} ${key}`;
    expect({ aggregate, sequence }).toEqual({ aggregate, sequence: (heads.get(aggregate) ?? 0) + 1 });
    heads.set(aggregate, sequence);
  }
  return events.map(({ type, key }) => `${type.replace(/\.v1$/, "")} ${shown(key)}`);
}

const shown = (key: string): string =>
  key.startsWith("0000000a-") ? String(Number.parseInt(key.slice(-12), 16)) : key;
