import { expect, test } from "vitest";
import { lifeOf } from "../src/consumers/inbox.ts";

test("a life is as old as its incarnation says, and the first one is the oldest", () => {
  expect(lifeOf("019a9f3e-7c1e-7abc-8def-0123456789ab")).toBe(0x01_9a_9f_3e_7c_1e);
  expect(lifeOf("019a9f3e-7c1f-7000-8000-000000000000")).toBe(0x01_9a_9f_3e_7c_1f);
  expect(lifeOf("f19a9f3e-7c1e-4abc-8def-0123456789ab")).toBe(0);
  expect(lifeOf("drill")).toBe(0);
});
