import { array, bigint, type Database, sql, uuid } from "@onsale/postgres";
import { everyCrashPoint, testIds, waitFor } from "@onsale/testing";
import { expect, test } from "vitest";
import { takeTurn } from "../src/send-bulk-messages.ts";
import { NotTakenError } from "../src/sender.ts";
import { mailSender } from "../src/senders.ts";
import {
  type Api,
  buyer,
  content,
  hasty,
  messagesIn,
  openNotifications,
  operator,
  personId,
  portsWith,
  recorder,
  serve,
  startSending,
} from "./house.ts";
import { startMailServer } from "./mail-server.ts";

const path = "/v1/admin/bulk-messages";
const texts = { en: { title: "Sale", text: "Everything <must> go.\nToday." }, ko: { title: "세일", text: "오늘만." } };
const news = { texts, channels: ["push"], ratePerSecond: 500 };

const subscribeSql = sql("test.subscribe", { takes: [array(uuid)], gives: {} })`
  insert into notifications.recipient (person_id, language, push_token, orders, news)
  select id, 'en', id::text, '{}', '{push}' from unnest($1::uuid[]) as person (id)`;

const subscribeByMailSql = sql("test.subscribe-by-mail", { takes: [array(uuid)], gives: {} })`
  insert into notifications.recipient (person_id, language, email, email_confirmed_at, orders, news)
  select id, 'en', 'person-' || (nr - 1) || '@example.com', now(), '{mail}', '{mail}'
  from unnest($1::uuid[]) with ordinality as person (id, nr)`;
const wantingSql = sql("test.wanting-news", { takes: [], gives: { count: bigint } })`
  select count(*) as count from notifications.recipient where news <> '{}' and orders = '{mail}'`;
const wantingNews = async (database: Database) => (await database.query(wantingSql, []))[0]?.count;

const people = (count: number) => Array.from({ length: count }, (_, number) => personId(number));
const subscribe = (database: Database, count: number) => database.execute(subscribeSql, [people(count)]);

async function order(api: Api, wish: object = news): Promise<string> {
  const { status, body } = await api.call(operator, "POST", path, wish);
  if (status !== 201) throw new Error(JSON.stringify(body));
  return body.bulkMessageId as unknown as string;
}

const shown = async (api: Api, id: string) =>
  (await api.call(operator, "GET", `${path}/${id}`)).body as Record<string, unknown>;

const done = (api: Api, id: string) =>
  waitFor(
    async () => {
      const bulk = await shown(api, id);
      return bulk.status === "done" && bulk;
    },
    { what: "the end of the bulk message" },
  );

test("news by mail brings its own end: a mail program's click, or a button; a look at the link ends nothing", async () => {
  const database = await openNotifications();
  await using server = await startMailServer();
  const mail = mailSender({ url: server.url, from: "Shop <shop@example.com>" });
  // Before the server, which waits for its connections to end.
  await using _line = { [Symbol.asyncDispose]: async () => mail.close?.() };
  const unsubscribing = { secret: "a secret of this test alone", url: "https://shop.example/" };
  const ports = { ...portsWith({ mail }), unsubscribing };
  const api = await serve(database, ports);
  await database.execute(subscribeByMailSql, [people(2)]);
  startSending(database, ports);
  const wish = { ...news, channels: ["mail"] };
  await done(api, await order(api, wish));
  const [first] = server.received.filter(({ to }) => to.includes("person-0@example.com"));
  const header = /^List-Unsubscribe: <(\S+)>/m.exec(first?.raw.replaceAll(/\r\n[ \t]+/g, " ") ?? "")?.[1] ?? "";
  expect(header).toMatch(/^https:\/\/shop\.example\/v1\/unsubscriptions\//);
  expect(first?.raw).toContain("List-Unsubscribe-Post: List-Unsubscribe=One-Click");
  expect(first?.text.replaceAll(/\s/g, "")).toContain(header);
  const click = async (method: "GET" | "POST", url: string) => {
    const asForm = {
      payload: "List-Unsubscribe=One-Click",
      headers: { "content-type": "application/x-www-form-urlencoded" },
    };
    return (await api.http.inject({ method, url, ...(method === "POST" && asForm) })).statusCode;
  };
  const { pathname } = new URL(header);
  expect(await click("GET", pathname)).toBe(200);
  expect(await wantingNews(database)).toBe(2);
  for (const forged of [`${pathname.slice(0, -2)}AA`, pathname.replace(personId(0), personId(1))])
    expect(await click("POST", forged)).toBe(404);
  expect(await wantingNews(database)).toBe(2);
  for (let time = 0; time < 2; time++) expect(await click("POST", pathname)).toBe(200);
  expect(await wantingNews(database)).toBe(1);
  await done(api, await order(api, wish));
  expect(server.received).toHaveLength(3);
});

test("everybody who wants news gets it once, from however many processes; who was named and does not want it does not", async () => {
  const database = await openNotifications();
  const push = recorder();
  const ports = portsWith({ push });
  const api = await serve(database, ports);
  await subscribe(database, 300);
  for (let process = 0; process < 3; process++) startSending(database, ports);
  const id = await order(api);
  expect(await done(api, id)).toMatchObject({ allReached: true, messages: { pending: 0, sent: 300, dead: 0 } });
  expect(push.messages.map(({ to }) => to).toSorted()).toEqual(people(300));
  expect(new Set(push.messages.map(({ wording }) => wording.title))).toEqual(new Set(["Sale"]));

  const named = await order(api, { ...news, personIds: [personId(5), personId(7), personId(777)] });
  expect(await done(api, named)).toMatchObject({ named: 3, messages: { sent: 2 } });
  expect(push.messages).toHaveLength(302);
});

test("it waits for its time, keeps to its rate over all processes, and is cancelled in the middle", async () => {
  const database = await openNotifications();
  const times: number[] = [];
  const push = recorder(() => void times.push(performance.now()));
  const ports = portsWith({ push });
  const api = await serve(database, ports);
  await subscribe(database, 300);
  for (let process = 0; process < 3; process++) startSending(database, ports);
  const later = await order(api, { ...news, sendAt: "2999-01-01T00:00:00.000Z" });
  const id = await order(api, { ...news, ratePerSecond: 50 });
  await waitFor(() => times.length >= 40);
  const cancelled = (await api.call(operator, "POST", `${path}/${id}/cancel`)).body as Record<string, unknown>;
  expect(cancelled.status).toBe("cancelled");
  const seconds = ((times.at(-1) ?? 0) - (times[0] ?? 0)) / 1_000;
  // One second may be caught up on, where the machine stood still.
  expect(times.length).toBeLessThanOrEqual((seconds + 1) * 50 + 2);
  expect(times.length).toBeLessThan(150);
  expect(await api.call(operator, "POST", `${path}/${id}/cancel`)).toMatchObject({
    status: 409,
    body: { code: "BULK_MESSAGE_ENDED" },
  });
  expect(await shown(api, later)).toMatchObject({ status: "scheduled", messages: { sent: 0, pending: 0 } });
  expect((await api.call(operator, "GET", `${path}?limit=1`)).body).toMatchObject({
    bulkMessages: [{ bulkMessageId: id }],
    next: id,
  });
  expect((await api.call(operator, "GET", `${path}?limit=1&after=${id}`)).body).toMatchObject({
    ...{ bulkMessages: [{ bulkMessageId: later }], next: null },
  });
});

test("wherever the program dies, nobody is left out and nobody gets two", async () => {
  const told: string[] = [];
  const subject = "00000000-0000-7000-8000-00000000aaaa";
  await everyCrashPoint({
    content,
    schema: "notifications",
    prepare: async (database) => {
      await subscribe(database, 3);
      await database.execute(insertSql, [subject]);
    },
    deliver: async (database, step) => {
      const send = async ({ id, to }: { id: string; to: string | undefined }) =>
        void (await step("the call", async () => told.push(`${to} ${id}`)));
      const ports = { ...portsWith({ push: { send } }), ids: testIds() };
      const context = { database, ports, feeds: { passed: async () => true } };
      await database.execute(timePassesSql, []);
      await takeTurn(context, subject, new AbortController().signal);
    },
    outcome: async (database) => (await messagesIn(database)).map(({ recipientId }) => recipientId).toSorted(),
  });
  // A turn of three people that was broken off and taken again: three ids, each for one person.
  expect(new Set(told).size).toBe(3);
});

const insertSql = sql("test.insert-bulk", { takes: [uuid], gives: {} })`
  insert into notifications.bulk_message (id, texts, channels, rate_per_second, send_at, paid_until, created_by)
  values ($1, '{"en": {"title": "Sale", "text": "Today."}}', '{push}', 500, now(), now() - interval '1 hour', $1)`;

const timePassesSql = sql("test.time-passes", { takes: [], gives: {} })`
  with leases as (update notifications.message set due_at = clock_timestamp() where status = 'pending')
  update notifications.bulk_message set paid_until = clock_timestamp() - interval '1 hour'`;

test("what is dead of it is sent again by hand, and it ends anew; of a cancelled one nothing is", async () => {
  const database = await openNotifications();
  let isGone = true;
  const push = recorder(() => {
    if (isGone) throw new NotTakenError("The receiver answered 410.", { fault: "refused" });
  });
  const ports = portsWith({ push }, hasty);
  const api = await serve(database, ports);
  await subscribe(database, 1);
  startSending(database, ports);
  const id = await order(api);
  expect(await done(api, id)).toMatchObject({ messages: { dead: 1, sent: 0 } });
  isGone = false;
  const [dead] = await messagesIn(database);
  expect((await api.call(operator, "POST", `/v1/admin/messages/${dead?.id}/resend`)).status).toBe(202);
  await waitFor(async () => (await messagesIn(database))[0]?.status === "sent");
  expect(await done(api, id)).toMatchObject({ messages: { dead: 0, sent: 1 } });
});

test("the same order twice under one key is one; what can't be is refused", async () => {
  const database = await openNotifications();
  const api = await serve(database, portsWith({ push: recorder() }));
  const refused = async (change: object, code: string) =>
    expect((await api.call(operator, "POST", path, { ...news, ...change })).body.code).toBe(code);
  await refused({ channels: ["mail"] }, "CHANNEL_MISSING");
  await refused({ channels: ["chat"] }, "VALIDATION_FAILED");
  await refused({ sendAt: "2026-02-30T00:00:00.000Z" }, "VALIDATION_FAILED");
  await refused({ sendAt: "2026-13-01T00:00:00.000Z" }, "VALIDATION_FAILED");
  await refused({ ratePerSecond: 0 }, "VALIDATION_FAILED");
  await refused({ ratePerSecond: 501 }, "VALIDATION_FAILED");
  await refused({ texts: {} }, "VALIDATION_FAILED");
  await refused({ texts: { fr: texts.en } }, "VALIDATION_FAILED");
  await refused({ personIds: [] }, "VALIDATION_FAILED");
  expect((await api.call(buyer(1), "POST", path, news)).status).toBe(403);
  expect((await api.call(operator, "GET", path)).body).toEqual({ bulkMessages: [], next: null });
  expect((await api.call(operator, "GET", `${path}/${personId(1)}`)).status).toBe(404);
  expect((await api.call(operator, "POST", `${path}/${personId(1)}/cancel`)).status).toBe(404);
});
