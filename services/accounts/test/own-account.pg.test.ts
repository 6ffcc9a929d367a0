import { accountErased } from "@onsale/contracts/accounts";
import { sql, text, uuid } from "@onsale/postgres";
import { readOutbox } from "@onsale/testing";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { maximumAddresses } from "../src/address.ts";
import { House, type Member, operator, password } from "./house.ts";

let house: House;

beforeAll(async () => {
  house = await House.open();
});
afterAll(() => house.close());

const newPassword = "battery staple";
const home = {
  recipient: "Ann Example",
  line1: "1 High Street",
  postalCode: "AB1 2CD",
  city: "Aberdeen",
  country: "GB",
  phone: "+44 1224 (0) 496",
};
const addressesUrl = "/v1/accounts/me/addresses";
const add = (member: Member, fields: object = {}) => member.call("POST", addressesUrl, { ...home, ...fields });
const addressesOf = async (member: Member) => (await member.call("GET", addressesUrl)).body.addresses;

test("a name is changed, and nothing beside it", async () => {
  const ann = await house.member("ann");
  const renamed = { status: 200, body: { name: "Anna", email: ann.email, role: "customer" } };
  expect(await ann.call("PATCH", "/v1/accounts/me", { name: "Anna" })).toMatchObject(renamed);
  for (const wrong of [{ name: "" }, { name: "A".repeat(201) }, { name: "A", role: "admin" }, { email: "x@y" }, {}]) {
    expect((await ann.call("PATCH", "/v1/accounts/me", wrong)).status).toBe(422);
  }
  expect((await ann.call("GET", "/v1/accounts/me")).body).toMatchObject({ name: "Anna", role: "customer" });
});

describe("addresses", () => {
  test("are added, replaced and removed, and one of them is the default as long as there is one", async () => {
    const bob = await house.member("bob");
    const first = await add(bob);
    expect(first).toMatchObject({ status: 201, body: { ...home, line2: null, region: null, isDefault: true } });
    const { body: second } = await add(bob, { city: "Bristol" });
    const { body: third } = await add(bob, { city: "Cardiff", isDefault: true });
    const defaults = async () => (await addressesOf(bob)).map((it: { isDefault: boolean }) => it.isDefault);
    expect(await defaults()).toEqual([false, false, true]);

    const moved = { ...home, city: "Boston", country: "US", region: "MA", isDefault: true };
    const replaced = await bob.call("PUT", `${addressesUrl}/${second.addressId}`, moved);
    expect(replaced).toMatchObject({ status: 200, body: { ...moved, addressId: second.addressId, line2: null } });
    expect(await defaults()).toEqual([false, true, false]);

    expect((await bob.call("DELETE", `${addressesUrl}/${second.addressId}`)).status).toBe(204);
    expect(await defaults()).toEqual([true, false]);
    for (const { addressId } of [first.body, third]) await bob.call("DELETE", `${addressesUrl}/${addressId}`);
    expect(await addressesOf(bob)).toEqual([]);
  });

  test("of another person are not there", async () => {
    const [carol, dora] = [await house.member("carol"), await house.member("dora")];
    const { body: hers } = await add(carol);
    const gone = { status: 404, body: { code: "ADDRESS_NOT_FOUND" } };
    expect(await dora.call("PUT", `${addressesUrl}/${hers.addressId}`, home)).toMatchObject(gone);
    expect(await dora.call("DELETE", `${addressesUrl}/${hers.addressId}`)).toMatchObject(gone);
    expect((await dora.call("DELETE", `${addressesUrl}/nothing`)).status).toBe(400);
    expect(await addressesOf(dora)).toEqual([]);
    expect(await addressesOf(carol)).toEqual([hers]);
  });

  test("are no more than the shop keeps, and one is the default, however many are added at once", async () => {
    const emma = await house.member("emma");
    const answers = await Promise.all(
      Array.from({ length: maximumAddresses + 4 }, (_, index) => add(emma, index % 2 ? {} : { isDefault: true })),
    );
    const refused = answers.filter(({ status }) => status === 409);
    expect(refused.map(({ body }) => body.code)).toEqual(Array(4).fill("TOO_MANY_ADDRESSES"));
    const kept: { isDefault: boolean }[] = await addressesOf(emma);
    expect([kept.length, kept.filter(({ isDefault }) => isDefault).length]).toEqual([maximumAddresses, 1]);
  });

  test.each([
    ["a country that there is not", { country: "XX" }],
    ["a country in small letters", { country: "gb" }],
    ["no city", { city: undefined }],
    ["a city of spaces", { city: "   " }],
    ["a line of two lines", { line1: "1 High\nStreet" }],
    ["a line that is too long", { line1: "x".repeat(201) }],
    ["a phone of letters", { phone: "call me" }],
    ["a default that is unmade", { isDefault: false }],
    ["an id of its own", { addressId: "00000000-0000-7000-8000-000000000001" }],
    ["another person's id", { accountId: "00000000-0000-7000-8000-000000000001" }],
    ["a number for a name", { recipient: 5 }],
  ])("with %s are refused", async (_what, fields) => {
    fred ??= house.member("fred");
    const member = await fred;
    expect(await add(member, fields)).toMatchObject({ status: 422, body: { code: "VALIDATION_FAILED" } });
    expect(await addressesOf(member)).toEqual([]);
  });
  let fred: Promise<Member> | undefined;
});

describe("a password is changed", () => {
  const change = (member: Member, oldPassword: string) =>
    member.call("POST", "/v1/accounts/me/password", { oldPassword, newPassword });

  test("with the old one, and every other session ends", async () => {
    const gina = await house.member("gina");
    const { body: elsewhere } = await house.logIn(gina.email);
    expect(await change(gina, "wrong")).toMatchObject({ status: 403, body: { code: "WRONG_PASSWORD" } });
    expect((await house.refresh(elsewhere.refreshToken)).status).toBe(200);
    expect((await change(gina, password)).status).toBe(204);
    const { body: again } = await house.logIn(gina.email, newPassword);
    expect((await house.logIn(gina.email)).status).toBe(401);
    expect((await house.refresh(gina.refreshToken)).status).toBe(200);
    expect((await house.refresh(again.refreshToken)).status).toBe(200);
    expect(
      (await house.call("GET", "/v1/accounts/me/sessions", undefined, { token: gina.accessToken })).body.sessions,
    ).toHaveLength(2);
  });

  test("once, when two change it at once; no session of the old one is left", async () => {
    const hans = await house.member("hans");
    const others = await Promise.all([change(hans, password), change(hans, password), house.logIn(hans.email)]);
    expect(
      others
        .slice(0, 2)
        .map(({ status }) => status)
        .sort(),
    ).toEqual([204, 403]);
    expect((await hans.call("GET", "/v1/accounts/me/sessions")).body.sessions.length).toBe(1);
  });

  test("to nothing weaker than at registration, and not that of the configured operator", async () => {
    const ida = await house.member("ida");
    const weak = await ida.call("POST", "/v1/accounts/me/password", { oldPassword: password, newPassword: "short" });
    expect(weak.status).toBe(422);
    const refused = await change(await house.admin(), operator.password);
    expect(refused).toMatchObject({ status: 409, body: { code: "ACCOUNT_CONFIGURED" } });
  });
});

describe("who wants to be forgotten", () => {
  const erase = (member: Member, given = password) =>
    member.call("POST", "/v1/accounts/me/erasure", { password: given });

  test("says the password, and is: nothing but the bare id is left", async () => {
    const jane = await house.member("jane");
    await add(jane);
    expect(await erase(jane, "wrong")).toMatchObject({ status: 403, body: { code: "WRONG_PASSWORD" } });
    expect((await erase(jane)).status).toBe(204);
    const left = await house.database.query(leftSql, [jane.accountId]);
    expect(left).toEqual([{ account: expect.any(String), addresses: "0", sessions: "0", places: "0" }]);
    expect(left[0]?.account).not.toMatch(/jane|Ann|argon2/);
    expect((await house.logIn(jane.email)).status).toBe(401);
    expect((await house.refresh(jane.refreshToken)).status).toBe(401);
  });

  test("is forgotten once, however often they ask, and it is told once", async () => {
    const kate = await house.member("kate");
    const answers = await Promise.all([erase(kate), erase(kate), erase(kate)]);
    expect(answers.map(({ status }) => status)).toEqual([204, 204, 204]);
    expect((await erase(kate, "whatever")).status).toBe(204);
    const told = (await readOutbox(house.database, accountErased)).filter(({ key }) => key === kate.accountId);
    expect(told).toMatchObject([{ sequence: 2, data: { accountId: kate.accountId } }]);
  });

  test("can do nothing any more with a token that has not expired yet", async () => {
    const lena = await house.member("lena");
    await erase(lena);
    const gone = { status: 404, body: { code: "ACCOUNT_NOT_FOUND" } };
    expect(await lena.call("GET", "/v1/accounts/me")).toMatchObject(gone);
    expect(await lena.call("PATCH", "/v1/accounts/me", { name: "Lena" })).toMatchObject(gone);
    expect(await add(lena)).toMatchObject(gone);
    const changed = await lena.call("POST", "/v1/accounts/me/password", { oldPassword: password, newPassword });
    expect(changed).toMatchObject(gone);
    expect(await addressesOf(lena)).toEqual([]);
  });

  test("may come back as somebody else", async () => {
    const mia = await house.member("mia");
    await erase(mia);
    const again = await house.member("mia");
    expect(again.accountId).not.toBe(mia.accountId);
    expect((await again.call("GET", "/v1/accounts/me")).body.email).toBe(mia.email);
    expect((await mia.call("GET", "/v1/accounts/me")).status).toBe(404);
  });

  test("is not the configured operator, whom the next start would bring back", async () => {
    const refused = await erase(await house.admin(), operator.password);
    expect(refused).toMatchObject({ status: 409, body: { code: "ACCOUNT_CONFIGURED" } });
  });
});

const leftSql = sql("test.left-of-person", {
  takes: [uuid],
  gives: { account: text, addresses: text, sessions: text, places: text },
})`
  select to_jsonb(a)::text as account,
    (select count(*)::text from accounts.address where account_id = $1) as addresses,
    (select count(*)::text from accounts.session where account_id = $1) as sessions,
    (select count(*)::text from accounts.familiar_place where account_id = $1) as places
  from accounts.account a where account_id = $1`;
