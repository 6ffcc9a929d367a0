import { expect, test } from "vitest";
import { isKeepable, isStorable, likeness } from "../src/events/storable.ts";

const nested = (levels: number): unknown => JSON.parse(`${"[".repeat(levels)}1${"]".repeat(levels)}`);

test.each([
  ["words", true],
  ["a backslash before letters: \\u0000", true],
  ["a whole character of two halves: 🎟", true],
  ["a NUL: \0", false],
  ["half a character: \ud83c", false],
])("%j can be stored: %s", (text, can) => {
  expect(isStorable(JSON.stringify(text))).toBe(can);
  expect(isKeepable({ deep: [{ down: text }] })).toBe(can);
});

test("what lies too deep is not kept, however small it is; what is deep enough for any event is", () => {
  expect(isKeepable(nested(400))).toBe(true);
  expect(isKeepable(nested(4_000))).toBe(false);
  expect(isKeepable(nested(100_000))).toBe(false);
});

test("a likeness can be kept, and shows all that can be shown", () => {
  const unkeepable = { plain: [1, true, null], "na\0me": "a\0b", half: "\ud83c!", deep: nested(2_000) };
  const { plain, half, deep, ...rest } = likeness(unkeepable) as typeof unkeepable;
  expect({ plain, half, rest }).toEqual({
    plain: [1, true, null],
    half: "\ufffd!",
    rest: { "na\ufffdme": "a\ufffdb" },
  });
  expect(isKeepable({ plain, half, deep, ...rest })).toBe(true);
});

test("what can be kept is its own likeness", () => {
  const event = { id: "e", data: { lines: [{ sku: "A", quantity: 2 }], note: "🎟 \\u0000" } };
  expect(likeness(event)).toEqual(event);
});
