import { createHash } from "node:crypto";
import { integer, sql, text, uuid } from "@onsale/postgres";
import { readOutbox } from "@onsale/testing";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { allowances } from "../src/attempt.ts";
import { jobs } from "../src/jobs.ts";
import type { ResetMessage } from "../src/ports.ts";
import { signLink } from "../src/reset-link.ts";
import { sendResetLinks } from "../src/send-reset-links.ts";
import { House, operator, password, passwordsHashed } from "./house.ts";

let house: House;
let mails: ResetMessage[];
let send: (mail: ResetMessage) => Promise<void>;

beforeAll(async () => {
  house = await House.open();
});
beforeEach(() => {
  mails = [];
  send = async (mail) => void mails.push(mail);
});
afterAll(() => house.close());

const newPassword = "battery staple";
const context = () => {
  const { ports, ...rest } = house.context();
  return { ...rest, ports: { ...ports, resetMail: { send: (mail: ResetMessage) => send(mail) } } };
};
const ask = (email: string) => house.call("POST", "/v1/password-resets", { email });
const deliver = () => sendResetLinks(context(), new AbortController().signal);
const confirm = (token: string | undefined, given = newPassword) =>
  house.call("POST", "/v1/password-resets/confirm", { token, newPassword: given });
/** The token of the mail that somebody got who asked. */
const tokenFor = async (email: string) => {
  await ask(email);
  await deliver();
  return mails.at(-1)?.token;
};
const refused = { status: 403, body: { code: "RESET_LINK_REFUSED" } };

test("who forgot their password gets a link by mail, sets another one with it, once, and every session ends", async () => {
  const ann = await house.member("ann");
  const token = await tokenFor("ANN@example.com");
  expect(mails).toMatchObject([{ to: ann.email, name: "Ann" }]);
  expect((await confirm(token)).status).toBe(204);
  expect(await confirm(token, "another again")).toMatchObject(refused);
  expect((await house.refresh(ann.refreshToken)).status).toBe(401);
  expect((await house.logIn(ann.email)).status).toBe(401);
  expect((await house.logIn(ann.email, newPassword)).status).toBe(200);
});

test("asking is answered alike and does the same work, whether or not anybody has the address", async () => {
  await house.account("bob@example.com");
  const asked = async (email: string) => {
    const [before] = await house.database.query(writesSql, []);
    const hashed = await passwordsHashed();
    const answer = await ask(email);
    const [after] = await house.database.query(writesSql, []);
    const statements = Object.entries(after ?? {}).map(([table, rows]) => [
      table,
      rows - (before?.[table as "requests"] ?? 0),
    ]);
    return {
      status: answer.status,
      body: answer.body,
      headers: Object.keys(answer.headers),
      statements,
      hashed: (await passwordsHashed()) - hashed,
    };
  };
  const known = await asked("bob@example.com");
  expect(known).toMatchObject({ status: 202, body: {}, hashed: 0 });
  // The same tables get the same rows: the account itself is not looked at before the answer.
  expect(known.statements).toEqual([
    ["requests", 1],
    ["links", 0],
  ]);
  expect(await asked("nobody-has-this@example.com")).toEqual(known);
  await deliver();
  expect(mails.map(({ to }) => to)).toEqual(["bob@example.com"]);
  expect(await house.database.query(writesSql, [])).toMatchObject([{ requests: 0 }]);
});

describe("a link is refused", () => {
  test("when a newer one was sent", async () => {
    await house.account("carol@example.com");
    const [older, newer] = [await tokenFor("carol@example.com"), await tokenFor("carol@example.com")];
    expect(newer).not.toBe(older);
    expect(await confirm(older)).toMatchObject(refused);
    expect((await confirm(newer)).status).toBe(204);
  });

  test("when the password was changed since", async () => {
    const dave = await house.member("dave");
    const token = await tokenFor(dave.email);
    await dave.call("POST", "/v1/accounts/me/password", { oldPassword: password, newPassword });
    expect(await confirm(token)).toMatchObject(refused);
  });

  test("when its time is over, whatever it says itself", async () => {
    const accountId = await house.account("emma@example.com");
    const token = await tokenFor("emma@example.com");
    await house.database.execute(overSql, [accountId]);
    expect(await confirm(token)).toMatchObject(refused);
    await jobs.find(({ name }) => name === "accounts.forget")?.run(context(), new AbortController().signal);
    expect(await house.database.query(linksSql, [accountId])).toEqual([]);
  });

  test("when the account was erased", async () => {
    const fred = await house.member("fred");
    const token = await tokenFor(fred.email);
    await fred.call("POST", "/v1/accounts/me/erasure", { password });
    expect(await confirm(token)).toMatchObject(refused);
  });

  test("when it is not ours, without a password being hashed", async () => {
    await house.account("gina@example.com");
    const token = (await tokenFor("gina@example.com")) ?? "";
    const [resetId = "", until = ""] = token.split(".");
    const expiresAt = new Date(Number(until)).toISOString();
    const before = await passwordsHashed();
    for (const forged of [
      signLink("another secret", { resetId, expiresAt }),
      token.replace(until, String(Number(until) + 1)),
      `${token.slice(0, -2)}${token.endsWith("AA") ? "BB" : "AA"}`,
      `${resetId}.${until}.`,
      "nonsense",
    ])
      expect(await confirm(forged)).toMatchObject(refused);
    for (const wrong of [{}, { token }, { token, newPassword: "short" }, { token, newPassword, role: "admin" }])
      expect((await house.call("POST", "/v1/password-resets/confirm", wrong)).status).toBe(422);
    expect(await passwordsHashed()).toBe(before);
    expect((await confirm(token)).status).toBe(204);
  });
});

test("of many who use one link at once one sets the password", async () => {
  await house.account("hans@example.com");
  const token = await tokenFor("hans@example.com");
  const given = ["first password", "second password", "third password"];
  const answers = await Promise.all(given.map((it) => confirm(token, it)));
  expect(answers.map(({ status }) => status).sort()).toEqual([204, 403, 403]);
  const winner = given[answers.findIndex(({ status }) => status === 204)];
  expect((await house.logIn("hans@example.com", winner)).status).toBe(200);
});

test("a mail that is not taken is tried again, as the same one, and when it was taken not any more", async () => {
  const accountId = await house.account("ida@example.com");
  const failed: ResetMessage[] = [];
  send = async (mail) => {
    failed.push(mail);
    throw new Error("the mail server is away");
  };
  await ask("ida@example.com");
  await deliver();
  expect(failed).toHaveLength(1);
  send = async (mail) => void mails.push(mail);
  await deliver();
  expect(mails).toEqual([]);
  await house.database.execute(dueSql, [accountId]);
  await deliver();
  expect(mails).toEqual(failed);
  await house.database.execute(dueSql, [accountId]);
  await deliver();
  expect(mails).toHaveLength(1);
});

test("two processes mail a link once", async () => {
  await house.account("jane@example.com");
  await ask("jane@example.com");
  await Promise.all([deliver(), deliver(), deliver()]);
  expect(mails).toHaveLength(1);
});

test("nobody's mailbox is filled, and nobody asks without end", async () => {
  await house.account("kate@example.com");
  for (let nth = 0; nth < allowances.mails.burst + 2; nth++) {
    await house.call("POST", "/v1/password-resets", { email: "kate@example.com" }, { from: `10.1.0.${nth}` });
    await deliver();
  }
  expect(mails).toHaveLength(allowances.mails.burst);
  const answers = [];
  for (let nth = 0; nth <= allowances.asking.burst; nth++) {
    answers.push(
      await house.call("POST", "/v1/password-resets", { email: `x${nth}@example.com` }, { from: "10.2.0.1" }),
    );
  }
  expect(answers.slice(0, -1).every(({ status }) => status === 202)).toBe(true);
  expect(answers.at(-1)).toMatchObject({ status: 429, body: { code: "TOO_MANY_ATTEMPTS" } });
  expect(Number(answers.at(-1)?.headers["retry-after"])).toBeGreaterThan(0);
});

test("who is locked out by strangers gets in by a link", async () => {
  await house.account("lena@example.com");
  const from = { from: "10.3.0.1" };
  for (let nth = 0; nth < allowances.placeAndAccount.burst; nth++) await house.logIn("lena@example.com", "wrong", from);
  expect((await house.logIn("lena@example.com", password, from)).status).toBe(429);
  const payload = { token: await tokenFor("lena@example.com"), newPassword };
  expect((await house.call("POST", "/v1/password-resets/confirm", payload, from)).status).toBe(204);
  expect((await house.logIn("lena@example.com", newPassword, from)).status).toBe(200);
});

test("the configured operator's password is not set by mail", async () => {
  await house.admin();
  await tokenFor(operator.email);
  expect(mails).toEqual([]);
});

test("no link is in the database, an answer or an event", async () => {
  const mia = await house.member("mia");
  const token = (await tokenFor(mia.email)) ?? "";
  const signature = token.split(".")[2];
  expect(signature).toHaveLength(43);
  const stored = await house.database.query(everythingSql, [mia.accountId]);
  expect(JSON.stringify([stored, await readOutbox(house.database)])).not.toContain(signature);
});

test("the page that a link leads to loads nothing from anywhere, and its own words fit its policy", async () => {
  const answer = await house.http.inject({ url: "/reset-password" });
  const policy = String(answer.headers["content-security-policy"]);
  expect(answer.headers).toMatchObject({ "referrer-policy": "no-referrer", "cache-control": "no-store" });
  for (const tag of ["script", "style"]) {
    const [, words = ""] = new RegExp(`<${tag}>([^]*?)</${tag}>`).exec(answer.body) ?? [];
    expect(policy).toContain(`${tag}-src 'sha256-${createHash("sha256").update(words).digest("base64")}'`);
  }
  expect(policy).toContain("default-src 'none'");
  expect(answer.body).not.toMatch(/(src|href)=/);
});

const writesSql = sql("test.count-resets", { takes: [], gives: { requests: integer, links: integer } })`
  select (select count(*)::int from accounts.reset_request) as requests,
    (select count(*)::int from accounts.reset_link) as links`;
const overSql = sql("test.end-link", { takes: [uuid], gives: {} })`
  update accounts.reset_link set expires_at = now() - interval '1 second' where account_id = $1`;
const dueSql = sql("test.mail-is-due", { takes: [uuid], gives: {} })`
  update accounts.reset_link set next_attempt_at = now() - interval '1 second' where account_id = $1`;
const linksSql = sql("test.links-of", { takes: [uuid], gives: { resetId: uuid } })`
  select reset_id as "resetId" from accounts.reset_link where account_id = $1`;
const everythingSql = sql("test.all-of-link", { takes: [uuid], gives: { row: text } })`
  select to_jsonb(l)::text as row from accounts.reset_link l where account_id = $1`;
