import { type Answer, claimKeys, forgetOldKeys, idempotently, migrations, ProblemError } from "@onsale/http";
import { type Database, integer, type MigrationSet, sql, type Transaction, text } from "@onsale/postgres";
import { type TestDatabase, testDatabase, testIds } from "@onsale/testing";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";

const own: MigrationSet = { owner: "test", directory: new URL("./migrations/", import.meta.url) };
const ids = testIds();

let server: TestDatabase;
let database: Database;
let elsewhere: Database;

beforeAll(async () => {
  server = await testDatabase({ schema: "shop", sets: [migrations, own] });
  // Two processes: each coalesces its own requests and knows nothing of the other's.
  database = server.open("shop", { lockTimeoutMs: 200, connections: 20 });
  elsewhere = server.open("shop", { lockTimeoutMs: 200, connections: 20 });
});
afterAll(() => server.close());

let claim: { personId: string; key: string; fingerprint: string };
beforeEach(() => {
  claim = { personId: ids.uuid(), key: "key", fingerprint: "one" };
});

const effectSql = sql("test.effect", { takes: [text], gives: {} })`insert into effect (what) values ($1)`;
const countSql = sql("test.count-effects", { takes: [text], gives: { count: integer } })`
  select count(*)::integer as count from effect where what = $1`;
const recordsSql = sql("test.count-records", { takes: [], gives: { count: integer } })`
  select count(*)::integer as count from idempotency_record`;

const effects = async () => (await database.query(countSql, [claim.personId]))[0]?.count;
const work =
  (answer: Answer = { status: 201, body: { made: 1 } }) =>
  async (tx: Transaction) => {
    await tx.execute(effectSql, [claim.personId]);
    return answer;
  };

const refusal = (error: unknown) =>
  error instanceof ProblemError ? [error.status, error.definition.code, error.options.retryAfterSeconds] : error;

/** A gate that a test opens, so that it decides what happens while work is under way. */
function gate() {
  let open: () => void = () => undefined;
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { open, opened };
}

test("the second request gets the first's answer and has no effect", async () => {
  expect(await idempotently(database, claim, work())).toEqual({ status: 201, body: { made: 1 }, replayed: false });
  expect(await idempotently(elsewhere, claim, work({ status: 500, body: "other" }))).toEqual({
    status: 201,
    body: { made: 1 },
    replayed: true,
  });
  expect(await effects()).toBe(1);
});

test("fifty at once, in two processes, have one effect and one answer", async () => {
  const answers = await Promise.all(
    Array.from({ length: 50 }, (_, index) => idempotently(index % 2 ? database : elsewhere, claim, work())),
  );
  expect(answers.filter(({ replayed }) => !replayed)).toHaveLength(1);
  expect(new Set(answers.map(({ body }) => JSON.stringify(body))).size).toBe(1);
  expect(await effects()).toBe(1);
});

test("another request under the key is refused, at once or later, here or elsewhere", async () => {
  const other = { ...claim, fingerprint: "two" };
  const { open, opened } = gate();
  const first = idempotently(database, claim, async (tx) => {
    await opened;
    return work()(tx);
  });
  await expect(idempotently(database, other, work()).catch(refusal)).resolves.toEqual([
    422,
    "IDEMPOTENCY_KEY_REUSED",
    undefined,
  ]);
  open();
  await first;
  for (const process of [database, elsewhere]) {
    await expect(idempotently(process, other, work()).catch(refusal)).resolves.toEqual([
      422,
      "IDEMPOTENCY_KEY_REUSED",
      undefined,
    ]);
  }
  expect(await effects()).toBe(1);
});

test("one key of two persons is two keys", async () => {
  await idempotently(database, claim, work());
  const { replayed } = await idempotently(database, { ...claim, personId: ids.uuid(), fingerprint: "two" }, work());
  expect(replayed).toBe(false);
});

test("a key that another process holds is in progress; when that fails the next has the effect", async () => {
  const { open, opened } = gate();
  const started = gate();
  const first = idempotently(database, claim, async (tx) => {
    await work()(tx);
    started.open();
    await opened;
    throw new Error("crashed");
  });
  await started.opened;
  await expect(idempotently(elsewhere, claim, work()).catch(refusal)).resolves.toEqual([
    409,
    "IDEMPOTENCY_KEY_IN_PROGRESS",
    1,
  ]);
  open();
  await expect(first).rejects.toThrow("crashed");
  expect(await effects()).toBe(0);
  expect((await idempotently(elsewhere, claim, work())).replayed).toBe(false);
  expect(await effects()).toBe(1);
});

test("who waited for a request that fails takes its place, one of them", async () => {
  const { open, opened } = gate();
  const failing = idempotently(database, claim, async () => {
    await opened;
    throw new Error("refused");
  });
  const waiting = Array.from({ length: 10 }, () => idempotently(database, claim, work()));
  open();
  await expect(failing).rejects.toThrow("refused");
  const answers = await Promise.all(waiting);
  expect(answers.filter(({ replayed }) => !replayed)).toHaveLength(1);
  expect(await effects()).toBe(1);
});

const prospective = (key: string, fingerprint = "one", person = claim.personId) => ({
  personId: person,
  key,
  fingerprint,
  status: 202,
  body: { order: `${key} ${fingerprint}` },
});

test("a batch claims each key once and gives every request its outcome, in the requests' order", async () => {
  await database.transaction((tx) => claimKeys(tx, [prospective("b"), prospective("d")]));
  const outcomes = await database.transaction((tx) =>
    claimKeys(tx, [
      prospective("c"),
      prospective("b"),
      prospective("a"),
      { ...prospective("b"), body: "not mine" },
      prospective("d", "two"),
      prospective("a"),
      prospective("a", "two"),
      prospective("a", "two", ids.uuid()),
    ]),
  );
  expect(outcomes).toEqual([
    { kind: "fresh" },
    { kind: "replay", status: 202, body: { order: "b one" } },
    { kind: "fresh" },
    { kind: "replay", status: 202, body: { order: "b one" } },
    { kind: "reused" },
    { kind: "replay", status: 202, body: { order: "a one" } },
    { kind: "reused" },
    { kind: "fresh" },
  ]);
});

test("batches that cross each other's keys neither deadlock nor both win", async () => {
  const keys = Array.from({ length: 200 }, (_, index) => `crossing ${index}`);
  const batches = Array.from({ length: 6 }, (_, index) => (index % 2 ? keys : keys.toReversed()));
  const patient = server.open("shop", { connections: 6 });
  const outcomes = await Promise.all(
    batches.map((batch) =>
      patient.transaction(
        (tx) =>
          claimKeys(
            tx,
            batch.map((key) => prospective(key)),
          ),
        { attempts: 1 },
      ),
    ),
  );
  const fresh = outcomes.flatMap((batch, at) =>
    batch.flatMap(({ kind }, index) => (kind === "fresh" ? [batches[at]?.[index]] : [])),
  );
  expect(fresh.toSorted()).toEqual(keys.toSorted());
});

test("a batch that is rolled back has claimed nothing", async () => {
  await expect(
    database.transaction(async (tx) => {
      await claimKeys(tx, [prospective("x")]);
      throw new Error("no");
    }),
  ).rejects.toThrow("no");
  expect(await database.transaction((tx) => claimKeys(tx, [prospective("x")]))).toEqual([{ kind: "fresh" }]);
});

const ageSql = sql("test.age-records", { takes: [text], gives: {} })`
  update idempotency_record set created_at = now() - $1::interval`;

test("records are kept for a day, and then removed", async () => {
  await idempotently(database, claim, work());
  const count = async () => (await database.query(recordsSql, []))[0]?.count ?? 0;
  const before = await count();
  await database.execute(ageSql, ["23 hours 59 minutes"]);
  expect(await forgetOldKeys(database)).toBe(0);
  await database.execute(ageSql, ["24 hours 1 second"]);
  expect(await forgetOldKeys(database)).toBe(before);
  expect(await count()).toBe(0);
});
