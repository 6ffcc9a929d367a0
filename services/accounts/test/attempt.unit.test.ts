import fc from "fast-check";
import { expect, test } from "vitest";
import { cursorAfter, rangeOf } from "../src/account-page.ts";
import { countries } from "../src/address.ts";
import { allowances, countedKinds, keysOf, networkOf, secondsUntilFree } from "../src/attempt.ts";
import { pauseMs, readLink, signLink } from "../src/reset-link.ts";
import { decideRole } from "../src/role.ts";

const now = "2026-11-21T09:00:00.000Z";
const after = (milliseconds: number) => new Date(Date.parse(now) + milliseconds).toISOString();

test.each(countedKinds)("so many wrong passwords are free for a %s, then one at a time", (kind) => {
  const { burst, everyMs } = allowances[kind];
  const waitsAfter = (failures: number) =>
    secondsUntilFree({ now, freeAt: { [kind]: after(failures * everyMs) }, isFamiliar: false });
  expect(waitsAfter(burst - 1)).toBe(0);
  expect(waitsAfter(burst)).toBe(everyMs / 1_000);
  expect(waitsAfter(burst + 1)).toBe((2 * everyMs) / 1_000);
});

test("nobody waits longer than until the next try is free, and nobody without a count waits", () => {
  fc.assert(
    fc.property(fc.array(fc.constantFrom(...countedKinds), { maxLength: 300 }), (failures) => {
      // Counted as the database counts: each failure moves the moment on by one step, and none is compared while one waits.
      const freeAt: Record<string, string> = {};
      for (const kind of failures) {
        if (secondsUntilFree({ now, freeAt, isFamiliar: false }) > 0) break;
        freeAt[kind] = new Date(Date.parse(freeAt[kind] ?? now) + allowances[kind].everyMs).toISOString();
      }
      const longest = Math.max(...Object.values(allowances).map(({ everyMs }) => everyMs)) / 1_000;
      expect(secondsUntilFree({ now, freeAt, isFamiliar: false })).toBeLessThanOrEqual(longest);
    }),
  );
  expect(secondsUntilFree({ now, freeAt: {}, isFamiliar: false })).toBe(0);
});

test("at a familiar place only its own failures count", () => {
  const usedUp = after(1_000 * 3_600_000);
  expect(secondsUntilFree({ now, freeAt: { account: usedUp }, isFamiliar: true })).toBe(0);
  expect(secondsUntilFree({ now, freeAt: { placeAndAccount: usedUp }, isFamiliar: true })).toBeGreaterThan(0);
  expect(secondsUntilFree({ now, freeAt: { place: usedUp }, isFamiliar: true })).toBeGreaterThan(0);
});

test.each([
  ["192.0.2.7", "192.0.2.7"],
  ["::ffff:192.0.2.7", "192.0.2.7"],
  ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"],
  ["2001:DB8:1:2::1", "2001:db8:1:2::/64"],
  ["2001:0db8:0001:0002::", "2001:db8:1:2::/64"],
  ["2001:db8::1", "2001:db8:0:0::/64"],
  ["::1", "0:0:0:0::/64"],
  ["fe80::1%eth0", "fe80:0:0:0::/64"],
])("%s is at the place %s", (address, place) => {
  expect(networkOf(address)).toBe(place);
});

test("every count has a key of its own, which only the secret gives", () => {
  const attempts = [
    { email: "a@b", address: "192.0.2.1" },
    { email: "a@b", address: "192.0.2.2" },
    { email: "c@d", address: "192.0.2.1" },
  ];
  const keys = ["one", "two"].flatMap((secret) =>
    attempts.flatMap((attempt) => Object.values(keysOf(secret, attempt)).map((key) => key.toString("hex"))),
  );
  // Per secret: two places, two accounts, three pairs, two who ask and two who get mail.
  expect(new Set(keys).size).toBe(2 * 11);
});

test("there is always an admin", () => {
  const role = fc.constantFrom("customer", "operator", "admin");
  fc.assert(
    fc.property(role, role, fc.integer({ min: 0, max: 2 }), (before, after, admins) => {
      const decision = decideRole({ before, after, admins });
      if (decision === "change" && before === "admin") expect(admins).toBe(2);
      if (before === after) expect(decision).toBe("unchanged");
      if (before !== "admin") expect(decision).not.toBe("last-admin");
    }),
  );
});

test("a cursor is behind its prefix or none of this list", () => {
  expect(rangeOf({ emailPrefix: "An", cursor: cursorAfter("ann@b") })).toMatchObject({ from: "an", after: "ann@b" });
  expect(rangeOf({ emailPrefix: "b", cursor: cursorAfter("ann@b") })).toBeUndefined();
  for (const cursor of ["", "x", "MQ==", Buffer.from("2ann@b").toString("base64url")])
    expect(rangeOf({ emailPrefix: "", cursor })).toBeUndefined();
});

test("the countries are those that the world knows", () => {
  const names = new Intl.DisplayNames("en", { type: "region", fallback: "none" });
  expect(countries).toHaveLength(249);
  expect(countries).toEqual([...new Set(countries)].sort());
  expect(countries.filter((code) => names.of(code) === undefined)).toEqual([]);
});

test("a link says what was signed, and nothing else is one", () => {
  const link = fc.record({
    resetId: fc.uuid(),
    expiresAt: fc
      .date({ min: new Date("2026-01-01"), max: new Date("2100-01-01"), noInvalidDate: true })
      .map((it) => it.toISOString()),
  });
  fc.assert(
    fc.property(link, fc.nat(), fc.constantFrom(..."aZ09-_.=/ "), (given, at, letter) => {
      const token = signLink("secret", given);
      expect(readLink("secret", token)).toEqual(given);
      expect(readLink("secret!", token)).toBeUndefined();
      const place = at % token.length;
      const changed = `${token.slice(0, place)}${letter}${token.slice(place + 1)}`;
      // The last letter of the signature has two bits that say nothing.
      if (changed !== token && place < token.length - 1) expect(readLink("secret", changed)).toBeUndefined();
    }),
  );
});

test("a mail is tried again after pauses that grow to a minute", () => {
  expect([1, 2, 3, 6, 7, 40].map(pauseMs)).toEqual([2_000, 4_000, 8_000, 60_000, 60_000, 60_000]);
});
