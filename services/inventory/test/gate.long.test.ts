import { requiresRedis } from "@onsale/testing";
import { describe, test } from "vitest";
import { manyAtATime, oneAtATime } from "./crowd-at-gate.ts";

describe.skipIf(!(await requiresRedis()))("a gate before a crowd", { timeout: 3_600_000 }, () => {
  test("of 100,000 requests, five hundred at a time, as many units are granted as without it", () =>
    manyAtATime(100_000));

  test("of 100,000 requests, one at a time, each has the same answer as without it", () => oneAtATime(100_000));
});
