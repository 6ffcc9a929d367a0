import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { fewestLocations } from "../src/location.ts";
import {
  type BuyerHold,
  byArrival,
  type Decision,
  decideReservations,
  type Refused,
  type Reserved,
  type Shelf,
  type Shelves,
  takeKey,
  type Wish,
} from "../src/stock.ts";

const cause = { correlationId: "a-test" };
const now = "2026-11-21T09:00:00.000Z";
const expiresAt = "2026-11-21T09:15:00.000Z";
type ArrivedWish = Wish & { readonly arrival: number };
const given = (taken: ReadonlyMap<string, number> = new Map()) => {
  let holds = 0;
  return {
    taken,
    buyerHolds: [] as readonly BuyerHold[],
    newHoldId: () => `hold-${++holds}`,
    chooseLocations: fewestLocations,
  };
};

const shelf = { perBuyerLimit: null, places: null, units: null };
const shelves = (rows: Record<string, number | Partial<Shelf>>): Shelves =>
  new Map(
    Object.entries(rows).map(([sku, it]) => [
      sku,
      typeof it === "number" ? { ...shelf, available: it } : { ...shelf, available: 0, ...it },
    ]),
  );

const wish = (arrival: number, units: Record<string, number>, more: Partial<Wish> = {}): ArrivedWish => ({
  buyerId: `buyer-${arrival}`,
  arrival,
  units: new Map(Object.entries(units)),
  names: new Map(),
  brings: [],
  saidAt: now,
  cause,
  ...more,
});

const outcomes = (decisions: readonly Decision[]) =>
  decisions.map((it) => (it.kind === "reserved" ? "reserved" : `${it.reason} ${it.skus.join()}`));

describe("what a person who runs a shop expects", () => {
  test("an order that fits holds every line", () => {
    const [decision] = decideReservations(shelves({ mug: 5, cup: 1 }), [wish(1, { mug: 2, cup: 1 })], given());
    expect(decision).toMatchObject({
      kind: "reserved",
      holds: [
        { holdId: "hold-1", sku: "mug", location: "main", units: 2, limited: false },
        { holdId: "hold-2", sku: "cup", location: "main", units: 1, limited: false },
      ],
    });
  });

  test("an order that doesn't fit as a whole gets nothing, and leaves everything to the next", () => {
    const decisions = decideReservations(
      shelves({ mug: 5, cup: 1 }),
      [wish(1, { mug: 2, cup: 2 }), wish(2, { mug: 5, cup: 1 })],
      given(),
    );
    expect(outcomes(decisions)).toEqual(["SOLD_OUT cup", "reserved"]);
  });

  test("a SKU that never came in is unknown, an empty one is sold out", () => {
    const decisions = decideReservations(
      shelves({ mug: 0 }),
      [wish(1, { mug: 1 }), wish(2, { plate: 1, mug: 1 })],
      given(),
    );
    expect(outcomes(decisions)).toEqual(["SOLD_OUT mug", "UNKNOWN_SKU plate"]);
  });

  test("the limit per buyer counts what the buyer has, and what the same crowd gave it", () => {
    const limited = shelves({ mug: { available: 100, perBuyerLimit: 3 } });
    const buyerId = "ann";
    const taken = new Map([[takeKey(buyerId, "mug"), 1]]);
    const crowd = [1, 2, 3].map((arrival) => wish(arrival, { mug: 1 }, { buyerId }));
    expect(outcomes(decideReservations(limited, [...crowd, wish(4, { mug: 3 })], given(taken)))).toEqual([
      "reserved",
      "reserved",
      "LIMIT_PER_BUYER mug",
      "reserved",
    ]);
  });

  test("repeated lines can't add up to a hold larger than one may be", () => {
    const decisions = decideReservations(shelves({ mug: 3_000_000 }), [wish(1, { mug: 1_000_001 })], given());
    expect(outcomes(decisions)).toEqual(["SOLD_OUT mug"]);
  });
});

const buyerHold = (holdId: string, more: Partial<BuyerHold> = {}): BuyerHold => ({
  ...{ holdId, buyerId: "ann", state: "HELD", expiresAt, sku: "mug", units: 2 },
  ...more,
});
const bringing = (
  arrival: number,
  units: Record<string, number>,
  brings: readonly string[],
  more: Partial<Wish> = {},
) => wish(arrival, units, { buyerId: "ann", brings, ...more });

describe("holds that an order brings", () => {
  const decide = (
    wishes: readonly ArrivedWish[],
    buyerHolds: readonly BuyerHold[],
    shop = shelves({ mug: 0, cup: 5 }),
  ) => decideReservations(shop, wishes, { ...given(), buyerHolds });

  test("are its own instead of new units, and what is missing is taken beside them", () => {
    const [decision] = decide([bringing(1, { mug: 2, cup: 1 }, ["h"])], [buyerHold("h")]);
    expect(decision).toMatchObject({ kind: "reserved", brought: [{ holdId: "h" }], holds: [{ sku: "cup", units: 1 }] });
  });

  test("may be a part of a line", () => {
    const shop = shelves({ mug: 1 });
    expect(outcomes(decide([bringing(1, { mug: 3 }, ["h"])], [buyerHold("h")], shop))).toEqual(["reserved"]);
    expect(outcomes(decide([bringing(1, { mug: 4 }, ["h"])], [buyerHold("h")], shop))).toEqual(["SOLD_OUT mug"]);
  });

  test.each([
    ["there is none", []],
    ["another person has it", [buyerHold("h", { buyerId: "eve" })]],
    ["its time was over when the order was placed", [buyerHold("h", { expiresAt: "2026-11-21T08:59:59.999Z" })]],
    ["it expired", [buyerHold("h", { state: "EXPIRED" })]],
    ["it was given up", [buyerHold("h", { state: "RELEASED" })]],
    ["another order has it", [buyerHold("h", { state: "ATTACHED" })]],
  ])("refuse the order where %s", (_, buyerHolds) => {
    expect(outcomes(decide([bringing(1, { mug: 2 }, ["h"])], buyerHolds))).toEqual(["HOLD_EXPIRED mug"]);
  });

  test("refuse the order where they are of more than it is for", () => {
    const more = [buyerHold("h"), buyerHold("i")];
    expect(outcomes(decide([bringing(1, { mug: 3 }, ["h", "i"])], more))).toEqual(["HOLD_MISMATCH mug"]);
    expect(outcomes(decide([bringing(1, { cup: 1 }, ["h"])], more))).toEqual(["HOLD_MISMATCH mug"]);
  });

  test("serve one order only, the first", () => {
    const twice = [1, 2].map((arrival) => bringing(arrival, { mug: 2 }, ["h"]));
    expect(outcomes(decide(twice, [buyerHold("h")]))).toEqual(["reserved", "HOLD_EXPIRED mug"]);
  });

  test("stay the buyer's where the order is refused for something else", () => {
    const wishes = [bringing(1, { mug: 2, cup: 9 }, ["h"]), bringing(2, { mug: 2 }, ["h"])];
    expect(outcomes(decide(wishes, [buyerHold("h")]))).toEqual(["SOLD_OUT cup", "reserved"]);
  });
});

describe("units that have names", () => {
  const seats = ["A-1", "A-2", "A-3"];
  const hall = shelves({ hall: { available: 3, units: { free: seats, known: new Set([...seats, "A-9"]) } } });
  const seat = (arrival: number, ...names: string[]) =>
    wish(arrival, { hall: names.length }, { names: new Map([["hall", names]]) });

  test("are taken by name once; who comes too late is told which", () => {
    const decisions = decideReservations(hall, [seat(1, "A-2"), seat(2, "A-1", "A-2"), seat(3, "A-9")], given());
    expect(outcomes(decisions)).toEqual(["reserved", "UNITS_TAKEN hall", "UNITS_TAKEN hall"]);
    expect((decisions[1] as Refused).units).toEqual([{ sku: "hall", unit: "A-2" }]);
  });

  test("one that there is not, and one of a SKU without names, is unknown", () => {
    const shop = new Map([...hall, ...shelves({ mug: 5 })]);
    const mug = wish(2, { mug: 1 }, { names: new Map([["mug", ["A-1"]]]) });
    expect(outcomes(decideReservations(shop, [seat(1, "Z-1"), mug], given()))).toEqual([
      "UNKNOWN_UNIT hall",
      "UNKNOWN_UNIT mug",
    ]);
  });

  test("whatever the crowd, each goes to one, and who names none gets the first that is free", () => {
    const wanted = fc.oneof(
      fc
        .uniqueArray(fc.constantFrom(...seats), { minLength: 1 })
        .map((names) => (arrival: number) => seat(arrival, ...names)),
      fc.integer({ min: 1, max: 3 }).map((count) => (arrival: number) => wish(arrival, { hall: count })),
    );
    fc.assert(
      fc.property(fc.array(wanted, { maxLength: 8 }), (crowd) => {
        const wishes = crowd.map((make, index) => make(index + 1));
        const decisions = decideReservations(hall, wishes, given());
        const left = new Set(seats);
        for (const { wish, holds } of reservedOf(decisions)) {
          const names = holds.flatMap((hold) => hold.names);
          expect(names).toEqual(wish.names.get("hall") ?? [...left].slice(0, wish.units.get("hall")));
          for (const name of names) expect(left.delete(name)).toBe(true);
        }
      }),
    );
  });
});

const sumOf = (rows: readonly { readonly units: number }[]) => rows.reduce((sum, { units }) => sum + units, 0);

const skus = ["a", "b", "c", "d"];
const buyers = ["ann", "bob", "eve"];

const places = fc.uniqueArray(
  fc.record({ location: fc.constantFrom("main", "north", "south"), units: fc.integer({ min: 1, max: 20 }) }),
  { selector: ({ location }) => location },
);
const perBuyerLimit = fc.option(fc.integer({ min: 1, max: 8 }), { freq: 2 });
const shelfOf: fc.Arbitrary<Shelf> = fc.oneof(
  fc.record({ available: fc.nat(40), perBuyerLimit, places: fc.constant(null), units: fc.constant(null) }),
  fc.record({ perBuyerLimit, places, units: fc.constant(null) }).map((it) => ({ ...it, available: sumOf(it.places) })),
);
const shop = fc
  .dictionary(fc.constantFrom(...skus), shelfOf, { noNullPrototype: true })
  .map((rows): Shelves => new Map(Object.entries(rows)));
const crowd = fc
  .array(
    fc.record({
      buyerId: fc.constantFrom(...buyers),
      units: fc.dictionary(fc.constantFrom(...skus), fc.integer({ min: 1, max: 9 }), {
        minKeys: 1,
        noNullPrototype: true,
      }),
    }),
    { maxLength: 60 },
  )
  .map((rows) => rows.map(({ buyerId, units }, index) => wish(index + 1, units, { buyerId })));

const crowds = (check: (shop: Shelves, wishes: ArrivedWish[], decisions: Decision[]) => void) =>
  fc.assert(
    fc.property(shop, crowd, (shop, wishes) => check(shop, wishes, decideReservations(shop, wishes, given()))),
    { numRuns: 500 },
  );

const reservedOf = (decisions: readonly Decision[]) => decisions.filter((it): it is Reserved => it.kind === "reserved");
const heldOf = (decisions: readonly Decision[], sku: string, buyerId?: string, location?: string) =>
  reservedOf(decisions)
    .filter((it) => buyerId === undefined || it.wish.buyerId === buyerId)
    .flatMap(({ holds }) => holds)
    .filter((hold) => hold.sku === sku && (location === undefined || hold.location === location))
    .reduce((sum, { units }) => sum + units, 0);

describe("whatever the crowd", () => {
  test("never grants more than there is", () => {
    crowds((shop, _, decisions) => {
      for (const sku of skus) expect(heldOf(decisions, sku)).toBeLessThanOrEqual(shop.get(sku)?.available ?? 0);
    });
  });

  test("never takes from a location what is not there", () => {
    crowds((shop, _, decisions) => {
      const holds = reservedOf(decisions).flatMap(({ holds }) => holds);
      for (const [sku, { places, available }] of shop) {
        for (const { location, units } of places ?? [{ location: "main", units: available }])
          expect(sumOf(holds.filter((it) => it.sku === sku && it.location === location))).toBeLessThanOrEqual(units);
      }
    });
  });

  test("never gives a buyer more than the limit", () => {
    crowds((shop, _, decisions) => {
      for (const [sku, { perBuyerLimit }] of shop) {
        if (perBuyerLimit === null) continue;
        for (const buyer of buyers) expect(heldOf(decisions, sku, buyer)).toBeLessThanOrEqual(perBuyerLimit);
      }
    });
  });

  test("every order gets all of its units or none, and one answer", () => {
    crowds((_, wishes, decisions) => {
      expect(decisions.map(({ wish }) => wish)).toEqual(wishes);
      for (const { wish, holds } of reservedOf(decisions)) {
        const bySku = Map.groupBy(holds, ({ sku }) => sku);
        expect(new Map([...bySku].map(([sku, ofSku]) => [sku, sumOf(ofSku)]))).toEqual(wish.units);
        for (const ofSku of bySku.values()) expect(new Set(ofSku.map(({ holdId }) => holdId)).size).toBe(1);
      }
    });
  });

  test("nobody is refused as sold out what was there when they came, nor given what was not", () => {
    crowds((shop, _, decisions) => {
      const left = new Map([...shop].map(([sku, { available }]) => [sku, available]));
      for (const decision of decisions) {
        const short = [...decision.wish.units]
          .filter(([sku, units]) => units > (left.get(sku) ?? 0))
          .map(([sku]) => sku);
        if (decision.kind === "reserved") {
          expect(short).toEqual([]);
          for (const { sku, units } of decision.holds) left.set(sku, (left.get(sku) ?? 0) - units);
        } else if (decision.reason === "SOLD_OUT") expect(decision.skus).toEqual(short);
      }
    });
  });

  test("a later order for a single unit never gets what an earlier one was refused as sold out", () => {
    crowds((_, wishes) => {
      const singles = wishes.map(({ arrival, buyerId }) => wish(arrival, { a: 1 }, { buyerId }));
      const decisions = decideReservations(shelves({ a: 7 }), singles, given());
      expect(outcomes(decisions)).toEqual(singles.map((_, index) => (index < 7 ? "reserved" : "SOLD_OUT a")));
    });
  });

  test("a batch decides as its halves do, one after the other", () => {
    crowds((shop, wishes, decisions) => {
      const half = Math.floor(wishes.length / 2);
      const first = decideReservations(shop, wishes.slice(0, half), given());
      const second = decideReservations(
        after(shop, first),
        wishes.slice(half),
        given(new Map(buyers.flatMap((buyer) => skus.map((sku) => [takeKey(buyer, sku), heldOf(first, sku, buyer)])))),
      );
      expect(outcomes([...first, ...second])).toEqual(outcomes(decisions));
    });
  });

  test("the order is that of the tickets, however the batch is shuffled", () => {
    fc.assert(
      fc.property(
        crowd.chain((wishes) => fc.shuffledSubarray(wishes, { minLength: wishes.length })),
        (shuffled) => {
          expect([...shuffled].sort(byArrival).map(({ arrival }) => arrival)).toEqual(
            shuffled.map((_, index) => index + 1),
          );
        },
      ),
    );
  });
});

function after(shop: Shelves, decisions: readonly Decision[]): Shelves {
  return new Map(
    [...shop].map(([sku, shelf]) => [
      sku,
      {
        ...shelf,
        available: shelf.available - heldOf(decisions, sku),
        places:
          shelf.places?.map(({ location, units }) => ({
            location,
            units: units - heldOf(decisions, sku, undefined, location),
          })) ?? null,
      },
    ]),
  );
}

test("a refusal names every SKU that stood in the way", () => {
  const [decision] = decideReservations(shelves({ a: 1, b: 1, c: 9 }), [wish(1, { a: 2, b: 2, c: 2 })], given());
  expect((decision as Refused).skus).toEqual(["a", "b"]);
});
