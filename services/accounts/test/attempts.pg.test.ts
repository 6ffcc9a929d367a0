import { bytes, double, sql } from "@onsale/postgres";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { allowances, keysOf } from "../src/attempt.ts";
import { jobs } from "../src/jobs.ts";
import { House, password, passwordsHashed } from "./house.ts";

let house: House;

beforeAll(async () => {
  house = await House.open();
});
afterAll(() => house.close());

const { burst } = allowances.placeAndAccount;
const tries = (email: string, count: number, from: string) =>
  Promise.all(Array.from({ length: count }, () => house.logIn(email, "wrong", { from })));

test.each(["known", "unknown"])(
  "of a crowd of wrong passwords for a%s account at once only the first few are compared",
  async (kind) => {
    const email = `${kind}@example.com`;
    if (kind === "known") await house.account(email);
    const before = await passwordsHashed();
    // Fewer than the line takes, so that none is turned away for its length.
    const answers = await tries(email, 30, "10.0.0.1");
    const count = (status: number) => answers.filter((answer) => answer.status === status).length;
    // Two are in the line at a time, so one may slip through while another is counted.
    expect(count(401)).toBeGreaterThanOrEqual(burst);
    expect(count(401)).toBeLessThanOrEqual(burst + 1);
    expect(count(429)).toBe(30 - count(401));
    expect((await passwordsHashed()) - before).toBe(count(401));
    const [limited] = answers.filter(({ status }) => status === 429);
    expect(limited?.body.code).toBe("TOO_MANY_ATTEMPTS");
    expect(Number(limited?.headers["retry-after"])).toBeGreaterThan(0);
    expect(Number(limited?.headers["retry-after"])).toBeLessThanOrEqual(
      (2 * allowances.placeAndAccount.everyMs) / 1_000,
    );
  },
);

test("the right password is refused there, too, until a try is free again; elsewhere it is not", async () => {
  await house.account("ann@example.com");
  await tries("ann@example.com", burst + 2, "10.0.1.1");
  expect((await house.logIn("ann@example.com", password, { from: "10.0.1.1" })).status).toBe(429);
  expect((await house.logIn("ann@example.com", password, { from: "10.0.1.2" })).status).toBe(200);
  await house.database.execute(pastSql, []);
  expect((await house.logIn("ann@example.com", password, { from: "10.0.1.1" })).status).toBe(200);
});

test("who succeeds has all tries again", async () => {
  await house.account("bob@example.com");
  for (let round = 0; round < 2; round++) {
    await tries("bob@example.com", burst - 2, "10.0.2.1");
    expect((await house.logIn("bob@example.com", password, { from: "10.0.2.1" })).status).toBe(200);
  }
});

test("strangers everywhere can't lock somebody out of where they have been before", async () => {
  await house.account("carol@example.com");
  await house.logIn("carol@example.com", password, { from: "10.0.3.1" });
  await house.database.execute(allUsedUpSql, [keyOf("carol@example.com")]);
  expect((await house.logIn("carol@example.com", password, { from: "10.0.3.2" })).status).toBe(429);
  expect((await house.logIn("carol@example.com", password, { from: "10.0.3.1" })).status).toBe(200);
});

test("a forged X-Forwarded-For is no other place", async () => {
  await house.account("dave@example.com");
  const answers = [];
  for (let nth = 0; nth < burst + 1; nth++) {
    const headers = { "x-forwarded-for": `10.9.9.${nth}` };
    const payload = { email: "dave@example.com", password: "wrong" };
    answers.push((await house.http.inject({ method: "POST", url: "/v1/tokens", payload, headers })).statusCode);
  }
  expect(answers.at(-1)).toBe(429);
});

describe("registering with an address that is taken", () => {
  const register = (email: string, from: string, given = "another password") =>
    house.call("POST", "/v1/accounts", { email, password: given, name: "Ann" }, { from });

  test("costs the work of a new account, and a guess counts as at the log-in: a list of addresses ends after a hundred", async () => {
    await house.account("gina@example.com");
    const worked = async (email: string) => {
      const before = await passwordsHashed();
      const { status } = await register(email, "10.0.5.1");
      return { status, hashed: (await passwordsHashed()) - before };
    };
    expect(await worked("gina@example.com")).toEqual({ status: 409, hashed: 1 });
    expect(await worked("hugo@example.com")).toEqual({ status: 201, hashed: 1 });
    const place = keysOf(house.context().ports.secret, { email: "", address: "10.0.5.1" }).place;
    expect(await house.database.query(countOfSql, [place])).toEqual([{ seconds: allowances.place.everyMs / 1_000 }]);
    await house.database.execute(allUsedUpSql, [place]);
    // Known and unknown alike.
    for (const email of ["gina@example.com", "ivan@example.com"])
      expect(await register(email, "10.0.5.1")).toMatchObject({ status: 429, body: { code: "TOO_MANY_ATTEMPTS" } });
    expect((await register("ivan@example.com", "10.0.5.2")).status).toBe(201);
  });

  test("by its owner, who forgot, counts nothing", async () => {
    await house.account("jane@example.com");
    expect((await register("jane@example.com", "10.0.5.3", password)).status).toBe(409);
    const keys = keysOf(house.context().ports.secret, { email: "jane@example.com", address: "10.0.5.3" });
    for (const counted of [keys.place, keys.account, keys.placeAndAccount])
      expect(await house.database.query(countOfSql, [counted])).toEqual([]);
  });
});

test("a thief of an access token can't try passwords at the other doors either", async () => {
  const eve = await house.member("eve");
  const doors = ["password", "erasure"].map(
    (door) => (given: string) =>
      eve.call("POST", `/v1/accounts/me/${door}`, {
        ...(door === "erasure" ? { password: given } : { oldPassword: given, newPassword: "battery staple" }),
      }),
  );
  for (let nth = 0; nth < burst; nth++) await doors[nth % 2]?.("wrong");
  for (const door of doors)
    expect(await door(password)).toMatchObject({ status: 429, body: { code: "TOO_MANY_ATTEMPTS" } });
});

test("counts tell no addresses, and are forgotten when they are over", async () => {
  await tries("fred@example.com", 1, "10.0.4.1");
  const rows = await house.database.query(countsSql, []);
  expect(rows.length).toBeGreaterThan(2);
  for (const { counted } of rows) expect(counted).toHaveLength(32);
  await house.database.execute(pastSql, []);
  await jobs.find(({ name }) => name === "accounts.forget")?.run(house.context(), new AbortController().signal);
  expect(await house.database.query(countsSql, [])).toEqual([]);
});

const keyOf = (email: string) => keysOf(house.context().ports.secret, { email, address: "" }).account;

const countOfSql = sql("test.count-of", { takes: [bytes], gives: { seconds: double } })`
  select round(extract(epoch from free_at - now()))::float8 as seconds from accounts.attempt where counted = $1`;
const countsSql = sql("test.counts", { takes: [], gives: { counted: bytes } })`select counted from accounts.attempt`;
const pastSql = sql("test.pass-time", { takes: [], gives: {} })`
  update accounts.attempt set free_at = now() - interval '1 second'`;
const allUsedUpSql = sql("test.use-up", { takes: [bytes], gives: {} })`
  insert into accounts.attempt values ($1, now() + interval '2 hours')
  on conflict (counted) do update set free_at = excluded.free_at`;
