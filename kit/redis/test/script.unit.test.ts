import { script } from "@onsale/redis";
import { expect, test } from "vitest";

test("a script's text takes no values", () => {
  expect(() => script<number>()(["return ", ""] as unknown as TemplateStringsArray)).toThrow("spliced");
});

test("a script is known by what Redis itself would call it", () => {
  expect(script<number>()`return 1`.sha1).toBe("e0e1f9fabfc9d4800c877a703b823ac0578ff8db");
});
