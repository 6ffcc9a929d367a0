import { productPublished } from "@onsale/contracts/catalog";
import { idempotently } from "@onsale/http";
import type { Database } from "@onsale/postgres";
import { everyCrashPoint, readOutbox } from "@onsale/testing";
import { expect, test } from "vitest";
import { catalog } from "../src/index.ts";
import type { Product } from "../src/product.ts";
import { publishProduct } from "../src/publish-product.ts";
import { readProduct } from "../src/store/product.ts";

const heart: Product = { sku: "85123A", name: "HEART", priceMinor: 255, currency: "GBP" };
const dearer = { ...heart, priceMinor: 300 };
const personId = "00000000-0000-7000-8000-000000000001";

const publish = (database: Database, product: Product) =>
  idempotently(database, { personId, key: `${product.priceMinor}`, fingerprint: "" }, async (tx) => ({
    status: 200,
    body: await publishProduct(tx, product, { correlationId: "test" }),
  }));

// A database of its own for each of some thirty points: a second each on a busy machine.
const timeoutMs = 120_000;

test(
  "a change of price that is broken off anywhere and asked for again is there once, and told once",
  async () => {
    const { points } = await everyCrashPoint({
      content: { services: [catalog] },
      schema: "catalog",
      prepare: async (database) => void (await publish(database, heart)),
      deliver: async (database) => void (await publish(database, dearer)),
      outcome: async (database) => ({
        product: await readProduct(database, heart.sku),
        told: (await readOutbox(database, productPublished)).map(({ sequence, data }) => ({ sequence, ...data })),
      }),
      check: ({ product, told }) => {
        expect(product).toMatchObject(dearer);
        expect(told).toEqual([
          { sequence: 1, ...heart },
          { sequence: 2, ...dearer },
        ]);
      },
    });
    expect(points).toBeGreaterThanOrEqual(20);
  },
  timeoutMs,
);
