import { accountRoleChanged } from "@onsale/contracts/accounts";
import { ids } from "@onsale/runtime";
import { readOutbox } from "@onsale/testing";
import { afterAll, beforeAll, expect, test } from "vitest";
import { accessTokenSeconds } from "../src/session.ts";
import { House, type Member, operator, password } from "./house.ts";

let house: House;
let admin: Member;

beforeAll(async () => {
  house = await House.open();
  admin = await house.admin();
});
afterAll(() => house.close());

const give = (by: Member, to: Member, role: string) =>
  by.call("PUT", `/v1/admin/accounts/${to.accountId}/role`, { role });
const again = (member: Member) => house.loggedIn(member.email, member.accountId);
const list = async (query: string, by = admin) => {
  const { body } = await by.call("GET", `/v1/admin/accounts?${query}`);
  return { emails: body.accounts.map(({ email }: { email: string }) => email), next: body.next };
};

test("an admin gives and takes roles; it is told, and written down who did it", async () => {
  const ann = await house.member("ann");
  expect(await give(admin, ann, "operator")).toMatchObject({ status: 200, body: { role: "operator" } });
  await give(admin, ann, "operator");
  const { body } = await give(admin, ann, "customer");
  expect(body).toMatchObject({
    email: ann.email,
    role: "customer",
    roleChanges: [
      { roleBefore: "operator", role: "customer", changedBy: admin.accountId },
      { roleBefore: "customer", role: "operator", changedBy: admin.accountId },
    ],
  });
  const told = (await readOutbox(house.database, accountRoleChanged)).filter(({ key }) => key === ann.accountId);
  expect(told.map(({ sequence, data }) => [sequence, data.role])).toEqual([
    [2, "operator"],
    [3, "customer"],
  ]);
});

test("nobody but an admin reaches the accounts of others", async () => {
  const bob = await house.member("bob");
  await give(admin, bob, "operator");
  const bobAsOperator = await again(bob);
  const stranger = await house.member("berta");
  for (const who of [bobAsOperator, stranger]) {
    expect((await give(who, who, "admin")).status).toBe(403);
    expect((await who.call("GET", "/v1/admin/accounts")).status).toBe(403);
    expect((await who.call("GET", `/v1/admin/accounts/${admin.accountId}`)).status).toBe(403);
  }
});

test("a taken role is gone at the next refresh, and at the latest when the access token ends; here it is gone at once", async () => {
  const carol = await house.member("carol");
  await give(admin, carol, "admin");
  const before = await again(carol);
  expect((await before.call("GET", "/v1/admin/accounts")).status).toBe(200);
  await give(admin, carol, "customer");
  const refused = [await give(before, carol, "admin"), await before.call("GET", "/v1/admin/accounts")];
  expect(refused.map(({ status }) => status)).toEqual([403, 403]);
  const { body } = await house.refresh(before.refreshToken);
  expect(JSON.parse(atob(body.accessToken.split(".")[1])).role).toBe("customer");
  // What no service can call back ends by itself, within this.
  const claims = JSON.parse(atob(before.accessToken.split(".")[1] ?? ""));
  expect(claims.exp - claims.iat).toBe(accessTokenSeconds("admin"));
  expect(accessTokenSeconds("admin")).toBeLessThanOrEqual(1_800);
});

test("there is always an admin, also when two take each other's role at once", async () => {
  const others = await Promise.all(["dave", "dora"].map((name) => house.member(name)));
  for (const it of others) await give(admin, it, "admin");
  const [dave, dora] = (await Promise.all(others.map(again))) as [Member, Member];
  // The configured one is kept by the configuration; without it the two are all there are.
  const unconfigured = {
    ...house.context(),
    ports: { ...house.context().ports, operator: { email: "x@y", password } },
  };
  const { changeRole } = await import("../src/change-role.ts");
  const cause = { correlationId: "test" };
  const take = (by: Member, from: Member) =>
    changeRole(unconfigured, { accountId: from.accountId, role: "customer", changedBy: by.accountId }, cause);
  expect(await take(dave, admin)).toBe("changed");
  expect((await Promise.all([take(dave, dora), take(dora, dave)])).sort()).toEqual(["changed", "not-allowed"]);
  const left = (await dave.call("GET", "/v1/admin/accounts")).status === 200 ? dave : dora;
  expect(await take(left, left)).toBe("last-admin");
  const erased = await left.call("POST", "/v1/accounts/me/erasure", { password });
  expect(erased).toMatchObject({ status: 409, body: { code: "LAST_ADMIN" } });
  await give(left, admin, "admin");
});

test("the configured operator's role is not changed here", async () => {
  const eve = await house.member("eve");
  await give(admin, eve, "admin");
  const refused = await give(await again(eve), admin, "customer");
  expect(refused).toMatchObject({ status: 409, body: { code: "ACCOUNT_CONFIGURED" } });
});

test("accounts are found by the beginning of their address, by pages, and staff among them", async () => {
  const names = ["f-1", "f-2", "f-3", "f_", "f%1", "g-1"];
  for (const name of names) await house.account(`${name}@example.com`);
  const all = names
    .slice(0, 5)
    .map((name) => `${name}@example.com`)
    .toSorted();
  expect((await list("emailPrefix=F")).emails.filter((email: string) => /^f[-_%]/.test(email))).toEqual(all);
  expect((await list("emailPrefix=f%25")).emails).toEqual(["f%1@example.com"]);
  const pages: string[][] = [];
  for (let next: string | null = ""; next !== null; ) {
    const page: { emails: string[]; next: string | null } = await list(
      `emailPrefix=f-&limit=2${next && `&after=${next}`}`,
    );
    pages.push(page.emails);
    next = page.next;
  }
  expect(pages).toEqual([["f-1@example.com", "f-2@example.com"], ["f-3@example.com"]]);
  const { emails } = await list("staff=true");
  expect(emails).toContain(operator.email.toLowerCase());
  expect(emails).not.toContain("f-1@example.com");
});

test.each(["limit=0", "limit=201", "emailPrefix=", "role=admin", "staff=maybe", "after=nonsense"])(
  "a search with %s is refused",
  async (query) => {
    expect((await admin.call("GET", `/v1/admin/accounts?${query}`)).status).toBe(400);
  },
);

test("what is not there can't be shown or given a role; a role that there is not can't be given", async () => {
  const nobody = { ...admin, accountId: ids.uuid() };
  const gone = { status: 404, body: { code: "ACCOUNT_NOT_FOUND" } };
  expect(await give(admin, nobody, "operator")).toMatchObject(gone);
  expect(await admin.call("GET", `/v1/admin/accounts/${nobody.accountId}`)).toMatchObject(gone);
  for (const role of ["guest", "root", ""]) expect((await give(admin, nobody, role)).status).toBe(422);
});

test("an erased account shows that it was there, and can be given nothing", async () => {
  const hugo = await house.member("hugo");
  await hugo.call("POST", "/v1/accounts/me/erasure", { password });
  const { body } = await admin.call("GET", `/v1/admin/accounts/${hugo.accountId}`);
  expect(body).toMatchObject({ email: null, name: null, role: "customer", erasedAt: expect.any(String) });
  expect((await give(admin, hugo, "operator")).status).toBe(404);
  expect((await list("emailPrefix=hugo")).emails).toEqual([]);
});
