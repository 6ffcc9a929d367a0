import { orderAuthorised, orderCancelled, orderReturned } from "@onsale/contracts/orders";
import type { Delivered } from "@onsale/messaging";
import { type Database, sql } from "@onsale/postgres";
import { eventOf, everyCrashPoint } from "@onsale/testing";
import { describe, expect, test } from "vitest";
import { expireHolds } from "../src/expire-holds.ts";
import { giveUpHold } from "../src/give-up-hold.ts";
import { limitBuyers } from "../src/limit-buyers.ts";
import { receiveGoods } from "../src/receive-goods.ts";
import { saveLocation } from "../src/store/place.ts";
import { takeHolds } from "../src/take-holds.ts";
import { receiveTransfer, sendGoods } from "../src/transfer-goods.ts";
import {
  books,
  buyerId,
  content,
  hear,
  holdRequest,
  orderId,
  placed,
  ports,
  receive,
  returnId,
  states,
  told,
} from "./books.ts";

// Wherever a use case is broken off, the same events delivered again must lead to where an undisturbed delivery leads:
// the same stock, the same states, the same facts told, each once.
const timeout = 120_000;

const cause = { correlationId: "a-test" };

const outcome = async (database: Database) => ({
  books: await books(database),
  states: await states(database),
  told: await told(database),
});

const everyCrashOf = (consumer: string, events: readonly Delivered[], prepare: (database: Database) => Promise<void>) =>
  everyCrashPoint({
    content,
    schema: "inventory",
    prepare,
    deliver: (database) => hear(database, consumer, events),
    outcome,
  });

const orders = [
  placed(1, { mug: 2, cup: 1 }),
  placed(2, { mug: 9 }),
  placed(3, { mug: 1 }, 1),
  placed(4, { mug: 1, cup: 1 }),
];
const open = async (database: Database) => {
  await receive(database, { mug: 4, cup: 2 });
  await database.transaction((tx) => limitBuyers(tx, "mug", 2));
};
const reserved = async (database: Database) => {
  await open(database);
  await hear(database, "reserve-stock", orders);
};
const authorised = [1, 4].map((number) => eventOf(orderAuthorised, { orderId: orderId(number) }, { sequence: 3 }));
const sold = async (database: Database) => {
  await reserved(database);
  await hear(database, "confirm-holds", authorised);
};

describe("every crash point", { timeout }, () => {
  test("reserving", async () => {
    const { steps } = await everyCrashOf("reserve-stock", orders, open);
    expect(steps).toBeGreaterThan(8);
  });

  test("confirming", async () => {
    await everyCrashOf("confirm-holds", authorised, reserved);
  });

  test("releasing held and sold units, and marking an order that was never allocated", async () => {
    const ended = [1, 2, 4, 99].map((number) => eventOf(orderCancelled, { orderId: orderId(number) }, { sequence: 5 }));
    await everyCrashOf("release-holds", ended, async (database) => {
      await reserved(database);
      await hear(database, "confirm-holds", authorised.slice(0, 1));
    });
  });

  test("restocking", async () => {
    const returned = [{}, { damage: "QUARANTINED" as const }].map((damage, number) => {
      const lines = [{ sku: "mug", units: 1, ...damage }];
      const about = { orderId: orderId(1), returnId: returnId(number), lines };
      return eventOf(orderReturned, about, { sequence: 5 + number });
    });
    await everyCrashOf("restock-returns", returned, sold);
  });

  test("expiring", async () => {
    await everyCrashPoint({
      ...{ content, schema: "inventory", outcome },
      async prepare(database) {
        await reserved(database);
        await database.execute(agedSql, []);
        await database.execute(heardSql, []);
      },
      deliver: async (database) => {
        await database.transaction((tx) => expireHolds(tx, ports(), 100));
      },
    });
  });

  test("taking holds for buyers", async () => {
    const wishes = [holdRequest(1, { mug: 2, cup: 1 }), holdRequest(2, { mug: 9 }), holdRequest(3, { mug: 1 })];
    await everyCrashPoint({
      ...{ content, schema: "inventory", outcome, prepare: open },
      deliver: async (database) => {
        await database.transaction((tx) => takeHolds(tx, wishes, ports()));
      },
    });
  });

  test("giving a hold up", async () => {
    let holdId = "";
    await everyCrashPoint({
      ...{ content, schema: "inventory", outcome },
      async prepare(database) {
        await open(database);
        const [taken] = await database.transaction((tx) => takeHolds(tx, [holdRequest(1, { mug: 2 })], ports()));
        if (taken?.kind === "held") [holdId = ""] = taken.answer.holdIds;
      },
      deliver: async (database) => {
        const given = await database.transaction((tx) => giveUpHold(tx, { holdId, buyerId: buyerId(1), cause }));
        expect(given).toBe("given-up");
      },
    });
  });

  test("what arrives of a transfer", async () => {
    let transferId = "";
    await everyCrashPoint({
      ...{ content, schema: "inventory", outcome },
      async prepare(database) {
        await open(database);
        await saveLocation(database, "annex", 2);
        const wish = { sku: "mug", from: "main", to: "annex", units: 3, note: null, sentBy: buyerId(0), cause };
        const sent = await database.transaction((tx) => sendGoods(tx, wish, ports()));
        if (sent.kind === "sent") ({ transferId } = sent.transfer);
      },
      deliver: async (database) => {
        const report = { transferId, units: 2, note: null, receivedBy: buyerId(0), cause };
        const { kind } = await database.transaction((tx) => receiveTransfer(tx, report));
        expect(["arrived", "repeated"]).toContain(kind);
      },
    });
  });

  test("receiving a purchase order", async () => {
    const delivery = {
      sku: "mug",
      units: 3,
      location: "main",
      receiptNumber: "PO-1",
      inspect: false,
      receivedBy: buyerId(0),
      cause,
    };
    await everyCrashPoint({
      ...{ content, schema: "inventory", outcome },
      deliver: async (database) => {
        await database.transaction((tx) => receiveGoods(tx, delivery, ports()));
      },
    });
  });
});

const agedSql = sql("test.age-all-holds", { takes: [], gives: {} })`
  update inventory.allocation set expires_at = clock_timestamp() - interval '1 second' where state = 'HELD'`;
const heardSql = sql("test.heard-all-orders", { takes: [], gives: {} })`
  insert into inventory.reader_cursor (reader, source, lane, watermark, system_identifier)
  values ('inventory', 'orders', 'online', clock_timestamp(), 1)`;
