import { ConfigurationError } from "@onsale/runtime";
import { expect, test } from "vitest";
import { configuration } from "../src/configuration.ts";
import { addressOf, settleRedis } from "../src/redis-choice.ts";

const named = { ...configuration(), redis: "redis://shop:secret@cache.example:6379/2", redisPrefix: "shop:" };

test("a Redis that is named is taken as it is", async () => {
  expect(await settleRedis(named, false)).toEqual({ url: named.redis, prefix: "shop:" });
});

test("two are refused by name, without the password", async () => {
  const both = settleRedis(named, true);
  await expect(both).rejects.toThrow(ConfigurationError);
  await expect(both).rejects.toThrow("redis://cache.example:6379/2");
  await expect(both).rejects.not.toThrow("secret");
});

test("an address is told without who may use it", () => {
  expect(addressOf("rediss://:secret@cache.example:6380")).toBe("rediss://cache.example:6380");
});
