/** An operator at the command line of a running shop: what died is found, mended, put back or dropped; readers are held and taken back. */

import { existsSync } from "node:fs";
import { waitFor } from "@onsale/testing";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { onsale, opened, shopFolder } from "./command-line.ts";

const reader = "orders";
const type = "product.published.v1";
const skus = Array.from({ length: 40 }, (_, index) => `SKU-${index}`);
const whole = (sku: string) => ({ sku, name: `The ${sku}`, currency: "GBP", priceMinor: 1_999 });

// Each command is a process of its own, and a machine that does many other things takes seconds to start one.
vi.setConfig({ testTimeout: 240_000 });

let shop: Awaited<ReturnType<typeof shopFolder>>;
let up: Awaited<ReturnType<typeof shop.up>>;
let database: pg.Pool;

beforeAll(async () => {
  shop = await shopFolder();
  up = await shop.up();
  await opened(up);
  const { databaseUrl } = await shop.status();
  database = new pg.Pool({ connectionString: databaseUrl ?? "", max: 1 });
  database.on("error", () => undefined);
  // A program that is not of this house writes what no reader can read.
  for (const sku of skus) await tell(sku, { sku });
  await waitFor(async () => (await lettersLeft()) === skus.length, { withinMs: 60_000, what: "dead letters" });
}, 180_000);
afterAll(async () => {
  await database?.end();
  await up?.[Symbol.asyncDispose]();
  await shop.remove();
});

async function tell(sku: string, payload: object): Promise<void> {
  await database.query(
    `insert into catalog.outbox_online (id, aggregatetype, aggregateid, type, payload, sequence, headers)
     select gen_random_uuid(), 'product', $1, $2, $3, 1, '{"correlationid": "foreign"}'`,
    [sku, type, payload],
  );
}

interface Answer {
  readonly code: number;
  /** What stands in JSON at the end of standard output. */
  readonly json: Record<string, unknown>;
  readonly stderr: string;
}

async function operate(...args: readonly string[]): Promise<Answer> {
  const { code, stdout, stderr } = await onsale([...args, "--data", shop.root, "-o", "json"]);
  const last = stdout.trimEnd().split("\n").at(-1) ?? "";
  return { code, stderr, json: last === "" ? {} : JSON.parse(last) };
}

async function done(...args: readonly string[]): Promise<Record<string, unknown>> {
  const { code, json, stderr } = await operate(...args);
  expect(code, `${args.join(" ")}: ${stderr}`).toBe(0);
  return json;
}

async function refused(...args: readonly string[]): Promise<string> {
  const { code, stderr } = await operate(...args);
  expect(code, args.join(" ")).toBe(1);
  return stderr;
}

const groups = async () => (await done("dlq", "ls"))["groups"] as { letters: number; reader: string; type: string }[];

const lettersLeft = async () => (await database.query("select from orders.dead_letter")).rowCount;

async function letterOf(sku: string): Promise<string> {
  const { letters } = await done("dlq", "ls", "--letters", "--key", sku);
  const [letter, ...more] = letters as { reader: string; eventId: string }[];
  if (!letter || more.length > 0) throw new Error(`${sku} has ${more.length + (letter ? 1 : 0)} letters.`);
  return `${letter.reader}/${letter.eventId}`;
}

const because = ["--reason", "the feed from outside was mended"];

describe("dlq", () => {
  test("groups the dead by reader, type and cause, and shows one whole", async () => {
    expect(await groups()).toMatchObject([{ letters: 40, reader, type }]);
    expect(await done("dlq", "show", await letterOf("SKU-0"))).toMatchObject({
      reader,
      event: { data: { sku: "SKU-0" } },
    });
  });

  test("a payload that does not fit is refused, one that fits is shown as a difference, stored, and applied", async () => {
    const letter = await letterOf("SKU-0");
    const edit = (payload: object, ...more: string[]) => [
      ...["dlq", "edit", letter, "--payload", JSON.stringify(payload)],
      ...because,
      ...more,
    ];
    expect(await refused(...edit({ sku: "SKU-0", name: 7 }))).toContain("PAYLOAD_DOES_NOT_FIT");
    expect(await refused(...edit(whole("SKU-1")))).toContain("KEY_CHANGED");
    const preview = await done(...edit(whole("SKU-0"), "--dry-run"));
    expect(preview).toMatchObject({ stored: false });
    expect(preview["difference"]).toContainEqual({ op: "add", path: "/priceMinor", value: 1_999 });
    expect(await done(...edit(whole("SKU-0")))).toMatchObject({ stored: true, revision: 1 });
    expect(await done("dlq", "redrive", letter)).toMatchObject({ blocked: false });
    const price = "select price_minor from orders.product where sku = 'SKU-0'";
    await expect.poll(async () => (await database.query(price)).rows).toEqual([{ price_minor: "1999" }]);
    expect(await lettersLeft()).toBe(39);
  });

  test("of many the count comes first, and nothing is put back without a yes", async () => {
    const many = ["dlq", "redrive", "--reader", reader, "--type", type];
    expect(await done(...many, "--dry-run")).toEqual({ counted: 39 });
    expect(await refused(...many)).toContain("39 dead letters");
    const redriven = operate(...many, "--per-second", "1", "--yes");
    const running = "select redrive_id from orders.redrive where state = 'running'";
    const [{ redrive_id: redriveId }] = await waitFor(async () => {
      const { rows } = await database.query(running);
      return rows.length === 1 ? rows : undefined;
    });
    expect(await done("dlq", "cancel", `${reader}/${redriveId}`)).toMatchObject({ state: "cancelled" });
    expect(await redriven, "not what was asked for").toMatchObject({
      code: 1,
      json: { redriveId, state: "cancelled", counted: 39 },
    });
    expect(await refused("dlq", "cancel", `${reader}/${redriveId}`)).toContain("REDRIVE_ENDED");
    // What was put back died again.
    await waitFor(async () => (await lettersLeft()) === 39);
  });

  test("dropped with a yes and a reason, an event is never applied, and the log of operations has it", async () => {
    const letter = await letterOf("SKU-1");
    expect(await refused("dlq", "drop", letter, ...because)).toContain("--yes");
    expect(await done("dlq", "drop", letter, ...because, "--yes")).toMatchObject({ dropped: true, freed: true });
    expect(await refused("dlq", "drop", letter, ...because, "--yes")).toContain("LETTER_NOT_FOUND");
    const { rows } = await database.query(
      "select reason from orders.operation_log where operation = 'dead-letter.drop'",
    );
    expect(rows).toEqual([{ reason: because[1] }]);
  });

  test("what isn't there is refused by name", async () => {
    const nobody = "00000000-0000-4000-8000-000000000000";
    for (const verb of ["show", "redrive"])
      expect(await refused("dlq", verb, `${reader}/${nobody}`)).toContain("LETTER_NOT_FOUND");
    expect(await refused("dlq", "show", `nobody/${nobody}`)).toContain("READER_NOT_FOUND");
    expect(await refused("dlq", "show", "nonsense")).toContain("nonsense is no name");
    expect(await refused("dlq", "cancel", `${reader}/${nobody}`)).toContain("REDRIVE_NOT_FOUND");
  });
});

describe("consumers", () => {
  const streamsOf = async (name: string) => {
    const { readers } = await done("consumers", "lag", "--reader", name);
    return (readers as { streams: { pauseReason: string | null; source: string }[] }[])[0]?.streams ?? [];
  };

  test("a paused reader is let go and says why; resumed, it reads what came meanwhile", async () => {
    await done("consumers", "pause", reader, "--source", "catalog", "--reason", "moving house");
    expect((await streamsOf(reader)).filter(({ pauseReason }) => pauseReason === "moving house")).toHaveLength(2);
    await tell("E", whole("E"));
    await done("consumers", "resume", reader, "--source", "catalog");
    await waitFor(async () => (await database.query("select from orders.product where sku = 'E'")).rowCount === 1);
    expect((await streamsOf(reader)).map(({ pauseReason }) => pauseReason)).not.toContain("moving house");
  });

  test("a reset is counted first, done with a yes, and only for a reader and a source that are there", async () => {
    const reset = (...more: string[]) => ["consumers", "reset", reader, "--reason", "a look back", ...more];
    const counted = await done(...reset("--source", "catalog", "--dry-run"));
    expect(counted).toMatchObject({ reset: false });
    expect(counted["streams"]).toContainEqual(expect.objectContaining({ lane: "online", to: 0, events: 41 }));
    expect(await refused(...reset("--source", "catalog"))).toContain("--yes");
    expect(await done(...reset("--source", "catalog", "--yes"))).toMatchObject({ reset: true });
    expect(await refused(...reset("--source", "nowhere", "--dry-run"))).toContain("nowhere");
    expect(await refused("consumers", "reset", "nobody", "--source", "catalog", "--dry-run", ...because)).toContain(
      "READER_NOT_FOUND",
    );
    expect(await refused("consumers", "pause", "nobody", "--reason", "x y z")).toContain("READER_NOT_FOUND");
  });
});

describe("what was heard ahead", () => {
  test("each key that a reader heard further than its source knows, a page after the other, with exit code 1", async () => {
    const compare = (...more: string[]) => ["consumers", "ahead", reader, "--source", "catalog", ...more];
    expect(await done(...compare())).toEqual({ since: null, keys: [], next: null });
    const hear = (more: number) =>
      database.query(
        "update orders.inbox set sequence = sequence + $2 where reader = $1 and key in ('SKU-1', 'SKU-2')",
        [reader, more],
      );
    await hear(5);
    const first = await operate(...compare("--limit", "1"));
    const one = { aggregate: "product", heard: 6, heardToldAt: expect.any(String), told: 1 };
    expect(first).toMatchObject({ code: 1, json: { keys: [{ ...one, key: "SKU-1" }] } });
    const second = await operate(...compare("--after", String(first.json["next"])));
    expect(second).toMatchObject({ code: 1, json: { keys: [{ ...one, key: "SKU-2" }], next: null } });
    await hear(-5);
    expect(await refused("consumers", "ahead", reader, "--source", "nowhere")).toContain("STREAM_NOT_FOUND");
  });
});

describe("retiring", () => {
  const retire = (name: string, source: string, ...more: string[]) => [
    ...["consumers", "retire", name, "--source", source, "--reason", "it was taken out a year ago", ...more],
  ];

  test("a reader that is gone for good holds nothing back any more, and who is not gone is left alone", async () => {
    await database.query(
      `insert into orders.reader_cursor (reader, source, lane) values ('orders.former', 'catalog', 'online');
       select catalog.outbox_report('orders.former', 'online', '3:3:', 0)`,
    );
    const heldBack = async () => {
      const { outboxes } = await done("outbox", "lag");
      return (outboxes as { readers: { reader: string }[] }[])
        .flatMap(({ readers }) => readers)
        .some((held) => held.reader === "orders.former");
    };
    expect(await heldBack()).toBe(true);
    const streams = [{ lane: "online", slot: 0, replicationSlot: null }];
    expect(await done(...retire("orders.former", "catalog", "--dry-run"))).toMatchObject({ retired: false, streams });
    expect(await refused(...retire("orders.former", "catalog"))).toContain("--yes");
    expect(await done(...retire("orders.former", "catalog", "--yes"))).toMatchObject({ retired: true, streams });
    expect(await heldBack()).toBe(false);
    expect(await refused(...retire("orders.former", "catalog", "--yes"))).toContain("STREAM_NOT_FOUND");
    expect(await refused(...retire(reader, "catalog", "--yes"))).toContain("READER_RUNS");
  });
});

describe("events", () => {
  test("are listed by filter, shown whole, and given to one reader again", async () => {
    const { events } = await done("events", "tail", "--type", type, "--key", "E");
    const [told] = events as { id: string; data: object }[];
    expect(told?.data).toEqual(whole("E"));
    const id = told?.id ?? "";
    expect(await done("events", "get", id)).toMatchObject({ event: { id, key: "E", source: "catalog" } });
    // It was applied already: a second effect must be meant.
    const resend = ["events", "resend", id, "--to", reader, ...because];
    expect(await refused(...resend)).toContain("CONFIRMATION_NEEDED");
    expect(await done(...resend, "--yes")).toMatchObject({ eventId: id });
    expect(await refused("events", "get", "00000000-0000-4000-8000-000000000000")).toContain("EVENT_NOT_FOUND");
    expect(await refused("events", "resend", id, "--to", "nobody", ...because)).toContain("READER_NOT_FOUND");
  });
});

test("payments reconcile compares the ledgers with both providers', and is content where they agree", async () => {
  for (const repair of [[], ["--repair"]])
    expect(await done("payments", "reconcile", ...repair)).toMatchObject({
      ...{ orders: 0, lines: 0 },
      ...{ findings: [], repaired: [], handedOver: [] },
    });
});

test("tasks are listed, shown and closed, once", async () => {
  const taskId = "0192f0c1-0000-7000-8000-0000000000aa";
  await database.query(
    "insert into orders.person_task (task_id, kind, key, what) values ($1, 'order.owed.reserve-stock', 'an-order', 'Look.')",
    [taskId],
  );
  const name = `orders/${taskId}`;
  expect((await done("tasks", "ls"))["tasks"]).toMatchObject([{ service: "orders", taskId, what: "Look." }]);
  expect((await done("tasks", "ls", "--service", "payments"))["tasks"]).toEqual([]);
  expect(await done("tasks", "show", name)).toMatchObject({ kind: "order.owed.reserve-stock", closedAt: null });
  const close = ["tasks", "close", name, "--outcome", "It was on the shelf."];
  expect(await done(...close)).toMatchObject({ taskId, outcome: "It was on the shelf." });
  expect(await refused(...close)).toContain("TASK_NOT_FOUND");
  expect((await done("tasks", "ls"))["tasks"]).toEqual([]);
  expect(await refused("tasks", "show", `nobody/${taskId}`)).toContain("SERVICE_NOT_FOUND");
});

test("outbox lag names every lane, and its exit code says whether somebody should look", async () => {
  const { outboxes } = await done("outbox", "lag");
  expect(outboxes).toContainEqual(
    expect.objectContaining({ service: "catalog", lane: "online", head: 41, alarms: [] }),
  );
});

test("who came for a product and who was served is told, of one that is there", async () => {
  await done("seed", "--sku", "LAST", "--units", "1", "--price-minor", "100");
  expect(await done("fairness", "LAST")).toMatchObject({ sku: "LAST", arrivals: 0, inversions: 0, complete: true });
  expect(await refused("fairness", "NOTHING")).toContain("STOCK_NOT_FOUND");
});

test.each([["outbox", "lag"], ["audit"]])(
  "a folder in which there is no shop is refused, and none is begun in it: %s",
  async (...verb) => {
    const elsewhere = `${shop.root} of somebody else`;
    const { code, stderr } = await onsale([...verb, "--data", elsewhere]);
    expect({ code, stderr }).toMatchObject({
      code: 1,
      stderr: expect.stringContaining(`There is no shop in ${elsewhere}`),
    });
    expect(existsSync(elsewhere)).toBe(false);
  },
);
