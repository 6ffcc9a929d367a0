import fc from "fast-check";
import { expect, test } from "vitest";
import { normalizeEmail } from "../src/account.ts";
import { busy, createQueue, hashPassword, verifyPassword } from "../src/password.ts";
import { decideRefresh, hashRefreshToken, newRefreshToken } from "../src/session.ts";

const now = "2026-11-21T09:00:00.000Z";
const usable = { usedAt: null, expiresAt: "2026-11-21T09:00:00.001Z" };
const earlier = "2026-11-21T08:59:59.999Z";

test.each([
  ["a token that nobody gave out, or of a session that has ended", undefined, "refuse"],
  ["a token that was not used", usable, "renew"],
  ["a token in the moment of its end", { ...usable, expiresAt: now }, "refuse"],
  ["a token that was used", { ...usable, usedAt: earlier }, "stolen"],
  ["a token that was used and is over", { ...usable, usedAt: earlier, expiresAt: earlier }, "stolen"],
] as const)("%s", (_what, presented, decision) => {
  expect(decideRefresh(presented, now)).toBe(decision);
});

test("refresh tokens are never the same, and what is stored does not tell them", () => {
  const made = Array.from({ length: 1_000 }, newRefreshToken);
  expect(new Set(made.map(({ token }) => token)).size).toBe(1_000);
  for (const { token, tokenHash } of made) {
    // 256 bits in base64url.
    expect(token).toHaveLength(43);
    expect(tokenHash.equals(hashRefreshToken(token))).toBe(true);
    expect(tokenHash.toString("base64url")).not.toBe(token);
  }
});

test("the spellings of an address are one", () => {
  expect(new Set(["Ann@Example.com", "ANN@EXAMPLE.COM", "ann@example.com"].map(normalizeEmail)).size).toBe(1);
  expect(normalizeEmail("a\u0308nn@x")).toBe(normalizeEmail("Änn@x"));
  fc.assert(
    fc.property(fc.emailAddress(), (email) => {
      expect(normalizeEmail(normalizeEmail(email))).toBe(normalizeEmail(email));
    }),
  );
});

test("a password is stored by argon2id at the cost that is stated", async () => {
  const stored = await hashPassword("correct horse");
  expect(stored).toMatch(/^\$argon2id\$v=19\$m=19456,t=2,p=1\$/);
  expect(await verifyPassword(stored, "correct horse")).toBe(true);
  expect(await verifyPassword(stored, "correct horsf")).toBe(false);
  expect(await verifyPassword(undefined, "correct horse")).toBe(false);
});

test("a queue runs a few at once, the rest in order, and turns away who comes beyond its end", async () => {
  const run = createQueue({ atOnce: 2, waiting: 3 });
  const began: number[] = [];
  const ends: (() => void)[] = [];
  const work = (index: number) => () =>
    new Promise<number>((resolve) => {
      began.push(index);
      ends.push(() => resolve(index));
    });
  const results = [0, 1, 2, 3, 4, 5, 6].map((index) => run(work(index)));
  expect(await Promise.all(results.slice(5))).toEqual([busy, busy]);
  expect(began).toEqual([0, 1]);
  for (let index = 0; index < 5; index++) {
    ends.shift()?.();
    expect(await results[index]).toBe(index);
  }
  expect(began).toEqual([0, 1, 2, 3, 4]);
});

test("work that fails gives its place to the next", async () => {
  const run = createQueue({ atOnce: 1, waiting: 1 });
  const failing = run(async () => Promise.reject(new Error("no")));
  const next = run(async () => "next");
  await expect(failing).rejects.toThrow("no");
  expect(await next).toBe("next");
  expect(await run(async () => "later")).toBe("later");
});
