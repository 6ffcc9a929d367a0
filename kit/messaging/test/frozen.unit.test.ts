import { Type } from "typebox";
import { describe, expect, test } from "vitest";
import { consumer } from "../src/consumers/consumer.ts";
import { type Compatibility, defineEvent, type EventDefinition } from "../src/events/event.ts";
import { type FrozenEvent, freeze, judge } from "../src/events/frozen.ts";
import { upcast } from "../src/events/upcast.ts";

const fields = { orderId: Type.String(), totalMinor: Type.Integer({ minimum: 0, description: "In pence." }) };
const sample = { orderId: "o", totalMinor: 5 };

const placed = (
  rest: Partial<Parameters<typeof defineEvent>[1]> = {},
  schema: Parameters<typeof Type.Object>[0] = fields,
): EventDefinition =>
  defineEvent("order.placed.v1", {
    ...{ key: "orderId", lanes: { online: true }, schema: Type.Object(schema), sample },
    ...rest,
  } as never);

const hear = (name: string, on: EventDefinition) => consumer(name, { on, in: "batch", do: async () => undefined });
const judged = (before: FrozenEvent, now: EventDefinition) =>
  judge([now], [before], [hear("inventory.reserve", now), hear("mail.greet", other)]);
const other = defineEvent("buyer.came.v1", {
  ...{
    key: "buyerId",
    lanes: { online: true },
    schema: Type.Object({ buyerId: Type.String() }),
    sample: { buyerId: "b" },
  },
});

test("nothing changed: nothing breaks, and freezing again changes nothing", () => {
  const before = freeze(placed());
  expect(judged(before, placed())).toEqual([]);
  expect(freeze(placed(), before)).toEqual(before);
});

test("another description is no other shape", () => {
  const said = { ...fields, totalMinor: Type.Integer({ minimum: 0, description: "In the minor unit." }) };
  expect(freeze(placed({}, said), freeze(placed())).shapes).toHaveLength(1);
});

test("a break names the type, the place, the rule, the reason, and the consumers that hear the type", () => {
  const now = placed({ sample: { ...sample, gift: true } }, { ...fields, gift: Type.Boolean() });
  expect(judged(freeze(placed()), now)).toEqual([
    {
      type: "order.placed.v1",
      path: "/gift",
      rule: "BACKWARD",
      what: "new consumers can't read old events: readers need it, and it is never written",
      breaks: ["inventory.reserve"],
    },
  ]);
});

describe("the rule decides:", () => {
  const optional = { ...fields, gift: Type.Optional(Type.Boolean()) };
  const required = { ...fields, gift: Type.Boolean() };
  const withGift = { sample: { ...sample, gift: true } };
  const { totalMinor: _, ...fewer } = fields;
  type Case = [change: string, now: EventDefinition, breaks: Compatibility[]];
  test.each<Case>([
    ["an optional field comes", placed({}, optional), []],
    ["a required field comes", placed(withGift, required), ["BACKWARD", "FULL"]],
    ["a required field goes", placed({ sample: { orderId: "o" } }, fewer), ["FORWARD", "FULL"]],
    ["a lane goes", placed({ lanes: { bulk: true } }), ["BACKWARD", "FORWARD", "FULL"]],
    ["a lane comes", placed({ lanes: { online: true, bulk: true } }), ["FORWARD", "FULL"]],
    ["the key is another", placed({ key: "totalMinor" as never }), ["BACKWARD", "FORWARD", "FULL"]],
    ["a lane change means another thing", placed({ laneChange: "latest-wins" }), ["BACKWARD", "FORWARD", "FULL"]],
  ])("%s", (_change, now, breaks) => {
    const rules: Compatibility[] = ["BACKWARD", "FORWARD", "FULL", "NONE"];
    expect(rules.filter((compatibility) => judged(freeze(placed({ compatibility })), now).length > 0)).toEqual(breaks);
  });
});

test("the promise that was frozen counts, not the one that comes with the change", () => {
  const now = placed({ compatibility: "NONE", sample: { ...sample, gift: true } }, { ...fields, gift: Type.Boolean() });
  expect(judged(freeze(placed()), now)).not.toEqual([]);
  expect(judged(freeze(placed({ compatibility: "NONE" }), freeze(placed())), now)).toEqual([]);
});

test("a change is judged against every shape the type ever had, not only against the last", () => {
  const first = freeze(placed({}, { ...fields, note: Type.Optional(Type.String()) }));
  const second = freeze(placed(), first);
  expect(second.shapes).toHaveLength(2);
  const again = placed({}, { ...fields, note: Type.Optional(Type.Integer()) });
  expect(judge([again], [freeze(placed())], [])).toEqual([]);
  expect(judge([again], [second], [])).toMatchObject([{ path: "/note" }]);
});

test("a type that is gone breaks its promise, unless it was frozen with none", () => {
  expect(judge([], [freeze(placed())], [])).toMatchObject([{ type: "order.placed.v1", rule: "BACKWARD" }]);
  expect(judge([], [freeze(placed({ compatibility: "NONE" }))], [])).toEqual([]);
});

test("an upcaster that fails on a frozen sample breaks those who hear the later version", () => {
  const shouting = (data: { orderId: string }) => ({ orderId: data.orderId, shout: data.orderId.toUpperCase() });
  const v1 = defineEvent("order.placed.v1", {
    ...{
      key: "orderId",
      lanes: { online: true },
      schema: Type.Object({ orderId: Type.String() }),
      sample: { orderId: "o" },
    },
  });
  const v2 = defineEvent("order.placed.v2", {
    key: "orderId",
    lanes: { online: true },
    schema: Type.Object({ orderId: Type.String(), shout: Type.String() }),
    sample: { orderId: "o", shout: "O" },
    earlier: upcast(v1, shouting),
  });
  const before = freeze(v1);
  const broken = { ...before, shapes: [...before.shapes, { schema: {}, sample: { orderId: 7 } }] };
  expect(judge([v1, v2], [before], [hear("mail.shout", v2)])).toEqual([]);
  expect(judge([v1, v2], [broken], [hear("mail.shout", v2)])).toContainEqual(
    expect.objectContaining({
      what: expect.stringMatching(/made a order\.placed\.v2: .*toUpperCase/),
      breaks: ["mail.shout"],
    }),
  );
});
