/** What an operator may ask of a shop about Kafka, and what is refused in words. */

import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { readConfiguration } from "@onsale/runtime";
import { requiresKafka, testDatabase, testKafka } from "@onsale/testing";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { specification } from "../src/configuration.ts";
import { onsale, opened, shopFolder } from "./command-line.ts";

// Three starts of a shop, on a machine that does other things.
const longMs = 300_000;

describe.skipIf(!(await requiresKafka()))("a shop on a Kafka that exists already", { timeout: longMs }, () => {
  let database: Awaited<ReturnType<typeof testDatabase>>;
  let shop: Awaited<ReturnType<typeof shopFolder>>;
  let environment: Readonly<Record<string, string>>;
  let bootstrap: string;

  beforeAll(async () => {
    const kafka = await testKafka();
    bootstrap = kafka.bootstrap;
    database = await testDatabase({ services: [] });
    environment = { ONSALE_DATABASE_URL: database.adminUrl, ONSALE_KAFKA_PREFIX: kafka.prefix };
    shop = await shopFolder();
  });
  afterAll(async () => {
    await shop.remove();
    await database.close();
  });

  test("one that can't be reached is named within a bound, and the folder is free to go without it", async () => {
    const { code, stderr } = await onsale(["up", "--data", shop.root], { ...environment, ONSALE_KAFKA: "127.0.0.1:1" });
    expect(code).toBe(1);
    expect(stderr).toMatch(/ONSALE_KAFKA: Kafka at 127\.0\.0\.1:1 can't be reached: .*ECONNREFUSED/);
    await expect(readFile(shop.folder.eventLogFile)).rejects.toThrow("ENOENT");
  });

  test("two at once are one too many", async () => {
    const both = { ...environment, ONSALE_KAFKA: bootstrap };
    const { code, stderr } = await onsale(["up", "--with", "kafka", "--data", shop.root], both);
    expect(code).toBe(1);
    expect(stderr).toContain("leave one of them out");
  });

  test("is told by `status`, and its data goes on with nothing else", async () => {
    await using up = await shop.up([], { ...environment, ONSALE_KAFKA: bootstrap });
    await opened(up);
    expect(await shop.status()).toMatchObject({ ready: true, kafka: bootstrap });
    const { url } = await shop.server();
    expect(await (await fetch(`${url}/health/ready`)).json()).toMatchObject({ checks: { kafka: "ok" } });
    up.signal("SIGTERM");
    expect(await up.ended).toBe(0);

    const without = await onsale(["up", "--data", shop.root], environment);
    expect(without.code).toBe(1);
    expect(without.stderr).toContain("was begun with ONSALE_KAFKA and can't go on without it");
    const beside = await onsale(["up", "--with", "kafka", "--data", shop.root], environment);
    expect(beside.stderr).toContain("was begun with ONSALE_KAFKA and can't go on with --with kafka");
    const otherPrefix = { ...environment, ONSALE_KAFKA: bootstrap, ONSALE_KAFKA_PREFIX: "another." };
    const elsewhere = await onsale(["up", "--data", shop.root], otherPrefix);
    expect(elsewhere.code).toBe(1);
    expect(elsewhere.stderr).toMatch(/go to the topic .* and can't go on in another\./);
  });

  test("data that was begun without it is refused by the folder, and by the database alone", async () => {
    const plain = await testDatabase({ services: [] });
    const begun = await shopFolder();
    const copy = await shopFolder();
    const url = { ONSALE_DATABASE_URL: plain.adminUrl };
    try {
      await using up = await begun.up([], url);
      await opened(up);
      await onsale(["seed", "--sku", "A", "--units", "3", "--price-minor", "100", "--data", begun.root]);
      up.signal("SIGTERM");
      expect(await up.ended).toBe(0);
      const withKafka = { ...url, ...environment, ONSALE_DATABASE_URL: plain.adminUrl, ONSALE_KAFKA: bootstrap };
      const folder = await onsale(["up", "--data", begun.root], withKafka);
      expect(folder.code).toBe(1);
      expect(folder.stderr).toContain("was begun without Kafka and can't go on with ONSALE_KAFKA");
      const alone = await onsale(["up", "--data", join(copy.root, "new")], withKafka);
      expect(alone.code).toBe(1);
      expect(alone.stderr).toMatch(/The data of \w+ was begun without Kafka/);
    } finally {
      await Promise.all([begun.remove(), copy.remove()]);
      await plain.close();
    }
  });
});

test.each(["kafka", "kafka:0", "kafka:65536", "a:1,", "http://kafka:9092"])(
  "%s is no address of a broker",
  (address) => {
    expect(() => readConfiguration(specification, { ONSALE_KAFKA: address })).toThrow(
      /ONSALE_KAFKA is .*must be host:port/,
    );
  },
);

test.each(["kafka:9092", "127.0.0.1:1,b.example:65535"])("%s is one", (address) => {
  expect(readConfiguration(specification, { ONSALE_KAFKA: address }).kafka).toBe(address);
});

test("where Java is absent, a broker beside the shop is refused in one sentence", { timeout: longMs }, async () => {
  const shop = await shopFolder();
  try {
    // A path on which neither Java nor Maven lies; Node is called by its full name.
    const { code, stderr } = await onsale(["up", "--with", "kafka", "--data", shop.root], { PATH: shop.root });
    expect(code).toBe(1);
    expect(stderr).toMatch(
      /^onsale: Kafka can't be started beside the shop\. Java is missing: .*ONSALE_KAFKA=host:port/m,
    );
    await expect(readFile(shop.folder.eventLogFile)).rejects.toThrow("ENOENT");
  } finally {
    await shop.remove();
  }
});
