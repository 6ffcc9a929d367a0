import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { judge, type ProviderHealth } from "../src/failover.ts";

const rule = { failures: 100 };
const health = (change: Partial<ProviderHealth> = {}): ProviderHealth => ({
  name: "card-a",
  isDown: false,
  failures: 0,
  isPendingLong: false,
  ...change,
});
const other = { name: "card-b", isDown: false };

describe("the anomaly rule", () => {
  test("a hundred failures are borne, one more is not", () => {
    expect(judge(health({ failures: 100 }), [other], rule)).toEqual({ kind: "stay" });
    expect(judge(health({ failures: 101 }), [other], rule)).toEqual({ kind: "switch", to: "card-b", why: "FAILURES" });
  });

  test("an authorisation that nobody knows of for too long is enough", () => {
    expect(judge(health({ isPendingLong: true }), [other], rule)).toMatchObject({ kind: "switch", why: "PENDING" });
  });

  test("where nobody can take over it is told once, and switched as soon as somebody can", () => {
    const nobody = [{ ...other, isDown: true }];
    expect(judge(health({ failures: 101 }), nobody, rule)).toEqual({ kind: "down", why: "FAILURES" });
    expect(judge(health({ isDown: true, failures: 101 }), nobody, rule)).toEqual({ kind: "stay" });
    expect(judge(health({ isDown: true }), [other], rule)).toEqual({ kind: "switch", to: "card-b", why: "DOWN" });
    expect(judge(health({ failures: 101 }), [], rule)).toEqual({ kind: "down", why: "FAILURES" });
  });

  test("new payments never go to one that is down, nor leave one that is well", () => {
    fc.assert(
      fc.property(
        fc.record({ failures: fc.nat({ max: 200 }), isPendingLong: fc.boolean(), isDown: fc.boolean() }),
        fc.array(fc.boolean(), { maxLength: 3 }),
        (state, downs) => {
          const others = downs.map((isDown, index) => ({ name: `card-${index}`, isDown }));
          const verdict = judge(health(state), others, rule);
          if (verdict.kind === "switch")
            expect(others.find(({ name }) => name === verdict.to)).toMatchObject({ isDown: false });
          const isWell = state.failures <= 100 && !state.isPendingLong && !state.isDown;
          if (isWell) expect(verdict.kind).toBe("stay");
        },
      ),
    );
  });
});
