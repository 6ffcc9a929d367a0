import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { defineSaga, type Move, type Progress, type Saga, type SagaStep, type Signal } from "../src/index.ts";

/** Book a trip: the seat's undo is not waited for, the payment's is, and the ticket has none of its own. */
const trip = defineSaga({
  name: "trip",
  steps: [
    { name: "seat", decidedBy: "rail", withinMs: 10, undo: { withinMs: 0, callAfterMs: 50 } },
    {
      name: "pay",
      decidedBy: "bank",
      withinMs: 20,
      refusalMayHaveTaken: true,
      undo: { withinMs: 30, callAfterMs: 60 },
    },
    { name: "ticket", decidedBy: "rail", withinMs: 40 },
  ],
});

/** Pay with two purses: one fact asks for both undos, and their answers come in any order. */
const purses = defineSaga({
  name: "purses",
  steps: [
    { name: "seat", decidedBy: "rail", withinMs: 10, undo: { withinMs: 0, callAfterMs: 50 } },
    { name: "coins", decidedBy: "purse", withinMs: 20, undo: { withinMs: 30, callAfterMs: 60, askedBy: "farewell" } },
    { name: "notes", decidedBy: "bank", withinMs: 20, undo: { withinMs: 40, callAfterMs: 60, askedBy: "farewell" } },
    { name: "ticket", decidedBy: "rail", withinMs: 40 },
  ],
});

const steps = ["seat", "pay", "ticket"] as const;
type Step = (typeof steps)[number];

const signals: readonly Signal<Step>[] = [
  ...steps.flatMap((step): Signal<Step>[] => [
    { kind: "succeeded", step },
    { kind: "refused", step },
    { kind: "undone", step },
    { kind: "undo-unknown", step },
    { kind: "overdue", wait: step },
    { kind: "overdue", wait: `undo ${step}` },
    { kind: "overdue", wait: `owed ${step}` },
  ]),
  { kind: "withdraw" },
];

const nameOf = (signal: Signal): string => {
  if (signal.kind === "withdraw") return signal.kind;
  return signal.kind === "overdue" ? `overdue: ${signal.wait}` : `${signal.step} ${signal.kind}`;
};

const outcomeOf = <S extends string>(saga: Saga<S>, { progress, ask, undo, ended, settled, call }: Move<S>): string =>
  [
    saga.format(progress),
    ask && `ask ${ask}`,
    undo.length > 0 && `undo ${undo.join(", ")}`,
    ended && `ended ${ended}`,
    settled && `settled ${settled}`,
    call && `call for ${call}`,
  ]
    .filter(Boolean)
    .join("; ");

/** Every cell of the table that moves anything. A cell that is not named here must leave the saga where it is. */
const table: Record<string, Record<string, string>> = {
  "forward seat": {
    "seat succeeded": "forward pay; ask pay",
    "seat refused": "undone; ended undone",
    "overdue: seat": "undone owed seat; undo seat; ended undone",
    withdraw: "undone owed seat; undo seat; ended undone",
  },
  "forward pay": {
    "pay succeeded": "forward ticket; ask ticket",
    "pay refused": "backward pay; undo pay",
    "overdue: pay": "backward pay; undo pay",
    withdraw: "backward pay; undo pay",
  },
  "forward ticket": {
    "ticket succeeded": "completed; ended completed",
    "ticket refused": "backward pay; undo pay",
    "overdue: ticket": "backward pay; undo pay",
    withdraw: "backward pay; undo pay",
  },
  completed: { withdraw: "backward pay; undo pay" },
  "backward pay": {
    "pay undone": "undone owed seat; undo seat; ended undone",
    "pay undo-unknown": "undone owed pay,seat; undo seat; ended undone",
    "overdue: undo pay": "undone owed pay,seat; undo seat; ended undone",
  },
  undone: {},
  "undone owed seat": {
    "seat undone": "undone; settled seat",
    "seat refused": "undone; settled seat",
    "overdue: owed seat": "undone owed seat; call for seat",
  },
  "undone owed pay,seat": {
    "seat undone": "undone owed pay; settled seat",
    "seat refused": "undone owed pay; settled seat",
    "pay undone": "undone owed seat; settled pay",
    "overdue: owed pay": "undone owed pay,seat; call for pay",
    "overdue: owed seat": "undone owed pay,seat; call for seat",
  },
  "undone owed pay": {
    "pay undone": "undone; settled pay",
    "overdue: owed pay": "undone owed pay; call for pay",
  },
};

describe("every cell of the table", () => {
  const cells = Object.keys(table).flatMap((place) =>
    signals.map((signal) => [place, nameOf(signal), signal] as const),
  );
  test.each(cells)("%s, %s", (place, name, signal) => {
    expect(outcomeOf(trip, trip.advance(trip.parse(place), signal))).toBe(table[place]?.[name] ?? place);
  });

  test("the table has every place that can be reached", () => {
    const reached = new Set<string>();
    const toVisit = [trip.start.progress];
    for (let progress = toVisit.pop(); progress; progress = toVisit.pop()) {
      if (reached.has(trip.format(progress))) continue;
      reached.add(trip.format(progress));
      for (const signal of signals) toVisit.push(trip.advance(progress, signal).progress);
    }
    expect([...reached].sort()).toEqual(Object.keys(table).sort());
  });
});

describe("undos that one fact asks", () => {
  const after = (place: string, ...given: Parameters<typeof purses.advance>[1][]) =>
    given.reduce(({ progress }, signal) => purses.advance(progress, signal), {
      progress: purses.parse(place),
      undo: [],
    } as ReturnType<typeof purses.advance>);
  const undone = (step: "coins" | "notes") => ({ kind: "undone", step }) as const;

  test("are asked together, as far as their steps were asked", () => {
    expect(after("completed", { kind: "withdraw" }).undo).toEqual(["notes", "coins"]);
    expect(after("forward coins", { kind: "withdraw" }).undo).toEqual(["coins"]);
    expect(after("forward notes", { kind: "refused", step: "notes" }).undo).toEqual(["coins"]);
  });

  test.each([
    [undone("coins"), undone("notes")],
    [undone("notes"), undone("coins")],
  ])("are waited for together, whichever is told first", (first, second) => {
    const half = after("backward notes,coins", first);
    expect(purses.format(half.progress)).toBe(`backward ${second.step}`);
    expect(half).toMatchObject({ undo: [] });
    const whole = after("backward notes,coins", first, second);
    expect(purses.format(whole.progress)).toBe("undone owed seat");
    expect(whole).toMatchObject({ undo: ["seat"], ended: "undone" });
  });

  test("one that stays unknown is owed while the other is still waited for", () => {
    const half = after("backward notes,coins", { kind: "overdue", wait: "undo notes" });
    expect(purses.format(half.progress)).toBe("backward coins owed notes");
    expect(purses.waits(half.progress)).toEqual([
      { wait: "undo coins", decidedBy: "purse", withinMs: 30 },
      { wait: "owed notes", decidedBy: "bank", withinMs: 60 },
    ]);
    const settled = after("backward coins owed notes", undone("notes"));
    expect([purses.format(settled.progress), settled.settled]).toEqual(["backward coins", "notes"]);
  });

  test("have a bound that is the longest of them", () => {
    expect(purses.boundMs).toBe(10 + 20 + 20 + 40 + 40);
  });

  test("must be neighbours, and waited for", () => {
    const undo = (askedBy?: string, withinMs = 10) => ({ withinMs, callAfterMs: 50, ...(askedBy && { askedBy }) });
    const step = (name: string, of: ReturnType<typeof undo>) => ({ name, decidedBy: "rail", withinMs: 10, undo: of });
    const torn = [step("one", undo("bell")), step("two", undo()), step("three", undo("bell"))] as const;
    expect(() => defineSaga({ name: "torn", steps: [...torn] })).toThrow("has another");
    expect(() => defineSaga({ name: "unawaited", steps: [step("one", undo("bell", 0))] })).toThrow("not waited for");
  });
});

test("waits name who decides and how long", () => {
  expect(trip.waits(trip.parse("forward ticket"))).toEqual([{ wait: "ticket", decidedBy: "rail", withinMs: 40 }]);
  expect(trip.waits(trip.parse("backward pay"))).toEqual([{ wait: "undo pay", decidedBy: "bank", withinMs: 30 }]);
  expect(trip.waits(trip.parse("undone owed pay,seat"))).toEqual([
    { wait: "owed pay", decidedBy: "bank", withinMs: 60 },
    { wait: "owed seat", decidedBy: "rail", withinMs: 50 },
  ]);
  expect(trip.waits(trip.parse("completed"))).toEqual([]);
});

test("what is no place of this saga is refused", () => {
  for (const text of [
    "",
    "forward",
    "forward dinner",
    "completed pay",
    "undone owed dinner",
    "forward pay owed seat",
    "sideways pay",
  ]) {
    expect(() => trip.parse(text), text).toThrow("is not where a saga can be");
  }
});

test("a saga whose steps share a name, are misnamed or have no bound is refused", () => {
  const step = { name: "seat", decidedBy: "rail", withinMs: 10 };
  expect(() => defineSaga({ name: "trip", steps: [step, step] })).toThrow("one name");
  expect(() => defineSaga({ name: "trip", steps: [{ ...step, name: "owed seat" }] })).toThrow("not a step name");
  expect(() => defineSaga({ name: "trip", steps: [{ ...step, withinMs: 0 }] })).toThrow("no bound");
});

describe("any saga, any signals in any order", () => {
  const undo = fc.option(fc.record({ withinMs: fc.constantFrom(0, 10), callAfterMs: fc.constant(50) }), {
    nil: undefined,
  });
  const sagas = fc
    .tuple(
      fc.array(fc.record({ refusalMayHaveTaken: fc.boolean(), undo }), { minLength: 1, maxLength: 5 }),
      fc.boolean(),
    )
    .map(([shapes, together]) => {
      const [first, ...rest] = shapes.map(
        ({ undo, refusalMayHaveTaken }, index): SagaStep => ({
          name: nameAt(index),
          decidedBy: "somebody",
          withinMs: 10,
          refusalMayHaveTaken,
          ...(undo && { undo: together ? { ...undo, withinMs: 10, askedBy: "one-fact" } : undo }),
        }),
      );
      if (!first) throw new Error("A saga has a step.");
      return defineSaga({ name: "any", steps: [first, ...rest] });
    });
  const nameAt = (index: number): string => ["one", "two", "three", "four", "five"][index] ?? "none";
  const anySignal: fc.Arbitrary<Signal> = fc.oneof(
    fc.record({
      kind: fc.constantFrom("succeeded", "refused", "undone", "undo-unknown"),
      step: fc.nat({ max: 4 }).map(nameAt),
    }),
    fc.record({
      kind: fc.constant("overdue" as const),
      wait: fc
        .tuple(fc.constantFrom("", "undo ", "owed "), fc.nat({ max: 4 }))
        .map(([of, step]) => `${of}${nameAt(step)}`),
    }),
    fc.constant({ kind: "withdraw" as const }),
  );

  /** Runs a saga and keeps everything it said, in order. */
  function run(saga: Saga, given: readonly Signal[]): { progress: Progress; moves: Move[] } {
    const moves: Move[] = [saga.start];
    let progress = saga.start.progress;
    for (const signal of given) {
      const move = saga.advance(progress, signal);
      moves.push(move);
      progress = move.progress;
    }
    return { progress, moves };
  }

  test("asks forward in order, once; undoes in reverse, once, only what was asked; and ends undone once", () => {
    fc.assert(
      fc.property(sagas, fc.array(anySignal, { maxLength: 40 }), (saga, given) => {
        const { moves } = run(saga, given);
        const order = saga.steps.map((step) => step.name);
        const asked = moves.flatMap((move) => move.ask ?? []);
        const undone = moves.flatMap((move) => move.undo);
        expect(asked).toEqual(order.slice(0, asked.length));
        const inReverse = order.filter((step) => undone.includes(step)).reverse();
        expect(undone).toEqual(inReverse);
        expect(undone.every((step) => asked.includes(step))).toBe(true);
        expect(moves.filter((move) => move.ended === "undone").length).toBeLessThanOrEqual(1);
        expect(moves.filter((move) => move.ended === "completed").length).toBeLessThanOrEqual(1);
        const turned = moves.findIndex((move) => move.undo.length > 0);
        if (turned >= 0) expect(moves.slice(turned).every((move) => move.ask === undefined)).toBe(true);
      }),
    );
  });

  test("once undone, every undo that was asked is either owed or was told done", () => {
    fc.assert(
      fc.property(sagas, fc.array(anySignal, { maxLength: 40 }), (saga, given) => {
        const { progress, moves } = run(saga, given);
        if (progress.phase !== "undone") return;
        const asked = moves.flatMap((move) => move.undo);
        const told = given.flatMap((signal) =>
          signal.kind === "undone" || signal.kind === "refused" ? signal.step : [],
        );
        for (const step of asked) expect(progress.owed.includes(step) || told.includes(step)).toBe(true);
        expect(new Set(progress.owed).size).toBe(progress.owed.length);
      }),
    );
  });

  test("the same signal again changes nothing more, but for a person who is called again", () => {
    fc.assert(
      fc.property(sagas, fc.array(anySignal, { maxLength: 20 }), anySignal, (saga, given, last) => {
        const once = run(saga, [...given, last]).progress;
        const again = saga.advance(once, last);
        expect(again.progress).toEqual(once);
        expect({ ask: again.ask, undo: again.undo, ended: again.ended, settled: again.settled }).toEqual({ undo: [] });
      }),
    );
  });

  test("whoever only lets the time pass reaches an end", () => {
    fc.assert(
      fc.property(sagas, fc.array(anySignal, { maxLength: 20 }), (saga, given) => {
        let { progress } = run(saga, given);
        for (let turn = 0; turn < 12 && (progress.phase === "forward" || progress.phase === "backward"); turn++) {
          const [awaited] = saga.waits(progress);
          if (awaited) progress = saga.advance(progress, { kind: "overdue", wait: awaited.wait }).progress;
        }
        expect(["completed", "undone"]).toContain(progress.phase);
      }),
    );
  });

  test("format and parse are each other's inverse", () => {
    fc.assert(
      fc.property(sagas, fc.array(anySignal, { maxLength: 20 }), (saga, given) => {
        const { progress } = run(saga, given);
        expect(saga.parse(saga.format(progress))).toEqual(progress);
      }),
    );
  });
});
