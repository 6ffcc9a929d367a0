import { sql, uuid } from "@onsale/postgres";
import { afterAll, beforeAll, expect, test } from "vitest";
import { jobs } from "../src/jobs.ts";
import { maximumSessions } from "../src/session.ts";
import { House, password } from "./house.ts";

let house: House;

beforeAll(async () => {
  house = await House.open();
});
afterAll(() => house.close());

const sessionsOf = async (member: { call: House["call"] | unknown; accessToken: string }) =>
  (await house.call("GET", "/v1/accounts/me/sessions", undefined, { token: member.accessToken })).body.sessions;

test("a refresh token works once; its second use ends the session for the newer one, too", async () => {
  const { refreshToken } = await house.member("dave");
  const second = await house.refresh(refreshToken);
  expect(second.status).toBe(200);
  expect(second.body.refreshToken).not.toBe(refreshToken);
  expect((await house.refresh(refreshToken)).body.code).toBe("REFRESH_TOKEN_REFUSED");
  expect((await house.refresh(second.body.refreshToken)).status).toBe(401);
});

test("of twenty who present one refresh token at once, at most one gets a pair, and it is dead afterwards", async () => {
  const { refreshToken } = await house.member("erin");
  // Every connection is open before the race: whoever has to open one comes too late for it.
  await Promise.all(Array.from({ length: 20 }, () => house.refresh("unknown")));
  const answers = await Promise.all(Array.from({ length: 20 }, () => house.refresh(refreshToken)));
  const winners = answers.filter(({ status }) => status === 200);
  expect(winners).toHaveLength(1);
  expect((await house.refresh(winners[0]?.body.refreshToken)).status).toBe(401);
});

test("a stolen family takes no other session with it", async () => {
  const { refreshToken, email, accountId } = await house.member("erna");
  const elsewhere = await house.loggedIn(email, accountId);
  await house.refresh(refreshToken);
  await house.refresh(refreshToken);
  expect((await house.refresh(elsewhere.refreshToken)).status).toBe(200);
});

test("who logs out is out", async () => {
  const { refreshToken } = await house.member("frank");
  const logOut = (token: string) => house.call("POST", "/v1/tokens/revoke", { refreshToken: token });
  expect((await logOut(refreshToken)).status).toBe(204);
  expect((await house.refresh(refreshToken)).status).toBe(401);
  expect((await logOut("unknown")).status).toBe(204);
});

test("one sees where one is logged in, which of them is this one, and when each was used last", async () => {
  const here = await house.member("gina");
  const browser = `Mozilla/5.0 (X11; Linux x86_64)\u00e9 ${"Gecko ".repeat(50)}`;
  const { body: there } = await house.logIn(here.email, password, { userAgent: browser });
  await house.refresh(there.refreshToken);
  const sessions = await sessionsOf(here);
  expect(sessions).toMatchObject([{ isCurrent: false }, { isCurrent: true, userAgent: expect.any(String) }]);
  expect(sessions[0].userAgent).toMatch(/^Mozilla\/5\.0 \(X11; Linux x86_64\) Gecko /);
  expect(sessions[0].userAgent.length).toBe(120);
  expect(sessions[0].lastUsedAt > sessions[0].createdAt).toBe(true);
  expect((await sessionsOf(there)).find((it: { isCurrent: boolean }) => it.isCurrent).sessionId).toBe(
    sessions[0].sessionId,
  );
});

test("a session is ended by its owner and by nobody else; all others at once, but not this one", async () => {
  const here = await house.member("hans");
  const [one, two] = [await house.logIn(here.email), await house.logIn(here.email)];
  const stranger = await house.member("ina");
  const [{ sessionId }] = (await sessionsOf(here)).filter((it: { isCurrent: boolean }) => !it.isCurrent);
  const gone = { status: 404, body: { code: "SESSION_NOT_FOUND" } };
  expect(await stranger.call("DELETE", `/v1/accounts/me/sessions/${sessionId}`)).toMatchObject(gone);
  expect((await here.call("DELETE", "/v1/accounts/me/sessions/not-an-id")).status).toBe(400);
  expect((await here.call("DELETE", `/v1/accounts/me/sessions/${sessionId}`)).status).toBe(204);
  expect(await here.call("DELETE", `/v1/accounts/me/sessions/${sessionId}`)).toMatchObject(gone);
  const refreshed = await Promise.all([one, two].map(({ body }) => house.refresh(body.refreshToken)));
  expect(refreshed.map(({ status }) => status).sort()).toEqual([200, 401]);
  expect(await here.call("DELETE", "/v1/accounts/me/sessions")).toMatchObject({ status: 200, body: { ended: 1 } });
  expect(await sessionsOf(here)).toMatchObject([{ isCurrent: true }]);
  expect((await house.refresh(here.refreshToken)).status).toBe(200);
  expect((await house.refresh(stranger.refreshToken)).status).toBe(200);
});

test("who has too many sessions loses the one that was not used for the longest time", async () => {
  const first = await house.member("jane");
  const second = await house.logIn(first.email);
  await house.database.execute(moreSessionsSql, [first.accountId]);
  expect(await sessionsOf(first)).toHaveLength(maximumSessions);
  await house.refresh(first.refreshToken);
  const { body } = await house.logIn(first.email);
  expect(await sessionsOf(body)).toHaveLength(maximumSessions);
  expect((await house.refresh(second.body.refreshToken)).status).toBe(401);
});

test("a session ends a month after its last use and a year after its first; what is over is forgotten", async () => {
  const { refreshToken, accountId } = await house.member("kurt");
  await house.database.execute(agedSql, [accountId]);
  const { body } = await house.refresh(refreshToken);
  const [session] = await sessionsOf(body);
  expect(Date.parse(session.expiresAt) - Date.parse(session.createdAt)).toBe(365 * 24 * 3_600_000);
  await house.database.execute(overSql, [accountId]);
  expect((await house.refresh(body.refreshToken)).status).toBe(401);
  expect(await sessionsOf(body)).toEqual([]);
  const forget = jobs.find(({ name }) => name === "accounts.forget");
  await forget?.run(house.context(), new AbortController().signal);
  expect(await house.database.query(leftSql, [accountId])).toEqual([]);
});

// As many as a person may have, with the two there are; older than those.
const moreSessionsSql = sql("test.more-sessions", { takes: [uuid], gives: {} })`
  insert into accounts.session (session_id, account_id, last_used_at, expires_at)
  select gen_random_uuid(), $1::uuid, now() + interval '1 minute', now() + interval '1 day' from generate_series(1, 48)`;
const agedSql = sql("test.age-session", { takes: [uuid], gives: {} })`
  update accounts.session set created_at = now() - interval '360 days' where account_id = $1`;
const overSql = sql("test.end-sessions-life", { takes: [uuid], gives: {} })`
  with session as (update accounts.session set expires_at = now() - interval '1 second' where account_id = $1 returning *)
  update accounts.refresh_token t set expires_at = session.expires_at from session where t.session_id = session.session_id`;
const leftSql = sql("test.sessions-left", { takes: [uuid], gives: { id: uuid } })`
  select session_id as id from accounts.session where account_id = $1`;
