import { accountErased } from "@onsale/contracts/accounts";
import { orderConfirmed } from "@onsale/contracts/orders";
import { integer, sql, text, uuid } from "@onsale/postgres";
import { deliver, eventOf, waitFor } from "@onsale/testing";
import { expect, test } from "vitest";
import { consumers } from "../src/consumers.ts";
import {
  type Api,
  buyer,
  codeIn,
  messagesIn,
  openNotifications,
  optIn,
  orderId,
  personId,
  portsWith,
  recorder,
  serve,
  startSending,
} from "./house.ts";

const path = "/v1/notification-settings";
const tellBuyer = consumers.find(({ name }) => name === "notifications.tell-buyer");
const forgetPerson = consumers.find(({ name }) => name === "notifications.forget-person");
if (!tellBuyer || !forgetPerson) throw new Error("A consumer has another name.");

const wish = { language: "en", email: "a@example.com", pushToken: null, orders: ["mail"], news: [] };
const put = (api: Api, number: number, body: object = wish) => api.call(buyer(number), "PUT", path, body);
const confirm = (api: Api, number: number, code: string) =>
  api.call(buyer(number), "POST", `${path}/email-confirmation`, { code });

async function open() {
  const database = await openNotifications();
  const mail = recorder();
  const ports = portsWith({ mail, push: recorder() });
  startSending(database, ports);
  return { database, mail, ports, api: await serve(database, ports) };
}

test("an address is told nothing before it has given the code that was sent to it", async () => {
  const { database, mail, ports, api } = await open();
  expect((await put(api, 1)).body).toEqual({ ...wish, emailConfirmed: false });
  await deliver(database, tellBuyer, [eventOf(orderConfirmed, { buyerId: personId(1) })], ports);
  const asked = await waitFor(() => mail.messages[0]);
  expect(asked.to).toBe("a@example.com");
  await waitFor(async () => (await messagesIn(database)).every(({ status }) => status === "sent"));
  expect(mail.messages).toHaveLength(1);
  expect((await confirm(api, 2, codeIn(asked))).status).toBe(422);
  expect((await confirm(api, 1, codeIn(asked).toLowerCase())).body).toMatchObject({ emailConfirmed: true });
  await deliver(database, tellBuyer, [eventOf(orderConfirmed, { buyerId: personId(1), orderId: orderId(2) })], ports);
  await waitFor(() => mail.messages.length === 2);
});

test("five wrong codes, and the right one does not count any more", async () => {
  const { mail, api } = await open();
  await put(api, 1);
  const asked = await waitFor(() => mail.messages[0]);
  for (let guess = 0; guess < 5; guess++)
    expect(await confirm(api, 1, `WRONG${guess}`)).toMatchObject({ status: 422, body: { code: "CODE_REFUSED" } });
  expect((await confirm(api, 1, codeIn(asked))).status).toBe(422);
});

test("a stranger's mailbox is asked once in ten minutes, whoever wishes it", async () => {
  const { database, mail, api } = await open();
  expect((await put(api, 1)).status).toBe(200);
  // Of those who ask at once, too, one is first.
  const answers = await Promise.all([2, 3, 4].map((number) => put(api, number, { ...wish, email: "A@Example.com" })));
  for (const { status, body, headers } of answers) {
    expect({ status, code: body.code }).toEqual({ status: 429, code: "ADDRESS_ASKED_RECENTLY" });
    expect(headers["retry-after"]).toBe("600");
  }
  // To change anything else asks nobody again.
  expect((await put(api, 1, { ...wish, language: "ko" })).status).toBe(200);
  await database.execute(elevenMinutesPassSql, []);
  expect((await put(api, 2)).status).toBe(200);
  await waitFor(() => mail.messages.length === 2);
});

const elevenMinutesPassSql = sql("test.eleven-minutes-pass", { takes: [], gives: {} })`
  update notifications.asked_address set asked_at = asked_at - interval '11 minutes'`;

const rowsSql = sql("test.settings-rows", { takes: [], gives: { count: integer } })`
  select count(*)::int as count from notifications.recipient`;

test("what can't be is refused and changes nothing", async () => {
  const { database, api } = await open();
  const noChannels = await serve(database, portsWith({}));
  expect(await put(noChannels, 1)).toMatchObject({ status: 422, body: { code: "CHANNEL_MISSING" } });
  expect(await put(api, 1, { ...wish, email: null })).toMatchObject({ status: 422, body: { code: "NO_ADDRESS" } });
  for (const email of [
    "",
    "a",
    "a@b@c",
    "a b@example.com",
    "a@example.com\r\nBcc: b@example.com",
    "<a@example.com>",
    "a,b@example.com",
    `${"x".repeat(250)}@example.com`,
  ])
    expect((await put(api, 1, { ...wish, email })).status).toBe(422);
  for (const change of [
    { orders: ["chat"] },
    { orders: ["mail", "mail"] },
    { language: "e" },
    { pushToken: "" },
    { extra: 1 },
  ])
    expect((await put(api, 1, { ...wish, ...change })).status).toBe(422);
  expect(await database.query(rowsSql, [])).toEqual([{ count: 0 }]);
});

test("whose account is erased is forgotten, and not made known again by a token that lives on", async () => {
  const { database, mail, ports, api } = await open();
  await optIn(api, buyer(1), mail);
  await deliver(database, forgetPerson, [eventOf(accountErased, { accountId: personId(1) })], ports);
  expect(await database.query(rowsSql, [])).toEqual([{ count: 0 }]);
  expect(await put(api, 1)).toMatchObject({ status: 409, body: { code: "PERSON_ERASED" } });
  expect((await put(api, 2)).status).toBe(200);
});

test("who leaves is forgotten: no address stays, and what was still to be told is told no more", async () => {
  const { database, mail, ports, api } = await open();
  await optIn(api, buyer(1), mail);
  // A message that waits for its next attempt when the person leaves.
  await database.execute(waitingSql, [personId(1)]);
  expect((await api.call(buyer(1), "DELETE", path)).status).toBe(204);
  expect((await api.call(buyer(1), "GET", path)).body).toMatchObject({
    email: null,
    emailConfirmed: false,
    orders: [],
  });
  expect(await database.query(rowsSql, [])).toEqual([{ count: 0 }]);
  const [waiting] = (await messagesIn(database)).filter(({ orderId }) => orderId !== null);
  expect(waiting?.status).toBe("withdrawn");
  await deliver(database, tellBuyer, [eventOf(orderConfirmed, { buyerId: personId(1), orderId: orderId(7) })], ports);
  expect((await messagesIn(database)).filter(({ orderId: id }) => id === orderId(7))).toEqual([]);
  const [stored] = await database.query(storedSql, [`%${personId(1)}@example.com%`]);
  expect(stored?.count).toBe(0);
});

const waitingSql = sql("test.waiting", { takes: [uuid], gives: {} })`
  insert into notifications.message (id, kind, channel, about, recipient_id, order_id, language, facts, status, due_at)
  values (gen_random_uuid(), 'order-rejected', 'mail', gen_random_uuid(), $1, gen_random_uuid(), 'en', '{}', 'pending',
    clock_timestamp() + interval '1 hour')`;

const storedSql = sql("test.stored", { takes: [text], gives: { count: integer } })`
  select ((select count(*) from notifications.message as row where row::text ilike $1)
    + (select count(*) from notifications.recipient as row where row::text ilike $1)
    + (select count(*) from notifications.asked_address as row where row::text ilike $1))::int as count`;
