import fc from "fast-check";
import { expect, test } from "vitest";
import { cursorAfter, pageOf, skuOfCursor } from "../src/page.ts";
import { decidePublication, type Product } from "../src/product.ts";
import { latestNews } from "../src/shelf.ts";

const product = fc.record({
  sku: fc.constant("85123A"),
  name: fc.constantFrom("HEART", "LANTERN"),
  priceMinor: fc.nat({ max: 3 }),
  currency: fc.constantFrom("GBP", "EUR"),
});

test("versions are told without a gap, and only when something changed", () => {
  fc.assert(
    fc.property(fc.array(product, { minLength: 1 }), (wishes) => {
      let current: (Product & { version: number }) | undefined;
      const told: number[] = [];
      for (const wish of wishes) {
        const publication = decidePublication(current, wish);
        if (publication.kind === "unchanged") {
          expect(current).toMatchObject(wish);
          continue;
        }
        told.push(publication.version);
        current = { ...wish, version: publication.version };
      }
      expect(told).toEqual(told.map((_, index) => index + 1));
      expect(current).toMatchObject(wishes.at(-1) ?? {});
    }),
  );
});

const news = fc.record({ sku: fc.constantFrom("A", "B", "C"), inStock: fc.boolean(), sequence: fc.nat({ max: 20 }) });

test("of each SKU the highest sequence is kept, once, in the order of the SKUs", () => {
  fc.assert(
    fc.property(fc.array(news), (all) => {
      const latest = latestNews(all);
      expect(latest.map(({ sku }) => sku)).toEqual([...new Set(all.map(({ sku }) => sku))].sort());
      for (const { sku, sequence } of latest) {
        expect(sequence).toBe(Math.max(...all.filter((one) => one.sku === sku).map((one) => one.sequence)));
      }
    }),
  );
});

test("a cursor gives back its SKU, whatever characters that has", () => {
  const skus = fc.string({ unit: "grapheme", minLength: 1, maxLength: 64 }).filter((text) => !text.includes("\u0000"));
  fc.assert(
    fc.property(skus, (sku) => {
      expect(skuOfCursor(cursorAfter(sku))).toBe(sku);
    }),
  );
});

test("what is no cursor of ours is told from one", () => {
  const foreign = ["", "1", "MQ", "x", `${cursorAfter("A")}=`, cursorAfter("A\u0000")];
  expect(foreign.map(skuOfCursor)).toEqual(foreign.map(() => undefined));
  fc.assert(
    fc.property(fc.string(), (text) => {
      const sku = skuOfCursor(text);
      if (sku !== undefined) expect(cursorAfter(sku)).toBe(text);
    }),
  );
});

test("a page ends with a cursor only when there is more", () => {
  const rows = [{ sku: "A" }, { sku: "B" }];
  expect(pageOf(rows, 2)).toEqual({ page: rows, next: null });
  expect(pageOf(rows, 1)).toEqual({ page: [{ sku: "A" }], next: cursorAfter("A") });
  expect(pageOf([], 1)).toEqual({ page: [], next: null });
});
