import { RedisUnavailableError, script } from "@onsale/redis";
import { ownRedis, requiresRedis, testRedis, waitFor } from "@onsale/testing";
import { describe, expect, test } from "vitest";

const addScript = script<number>()`return redis.call('incrby', KEYS[1], ARGV[1])`;
const wrongScript = script<never>()`return redis.call('lpush', KEYS[1])`;
const shoutScript = script<number>()`return redis.call('publish', KEYS[1], ARGV[1])`;

const add = { keys: ["count"], args: [2] };

describe.skipIf(!(await requiresRedis()))("a connection to Redis", () => {
  test("runs scripts, known to the server or not, on keys of its own", async () => {
    await using place = await testRedis();
    const redis = place.open();
    expect([await redis.run(addScript, add), await redis.run(addScript, add)]).toEqual([2, 4]);
    expect(await redis.send("GET", `${place.prefix}count`)).toBe("4");
    await using other = await testRedis();
    expect(await other.open().run(addScript, add)).toBe(2);
  });

  test("an answer that says that the script is wrong is no outage", async () => {
    await using place = await testRedis();
    await expect(place.open().run(wrongScript, { keys: ["list"], args: [] })).rejects.toThrow(/wrong number of arg/i);
  });

  test("hears what is sent on a channel, until it no longer wants to", async () => {
    await using place = await testRedis();
    const redis = place.open();
    const heard: string[] = [];
    const subscription = await redis.subscribe("news", (message) => heard.push(message));
    expect(await redis.run(shoutScript, { keys: ["news"], args: ["one"] })).toBe(1);
    await waitFor(() => heard.length === 1);
    await subscription.close();
    expect(await redis.run(shoutScript, { keys: ["news"], args: ["two"] })).toBe(0);
    expect(heard).toEqual(["one"]);
  });

  test("a killed server is an outage at once; the connection comes back by itself, with its subscriptions", async () => {
    await using own = await ownRedis();
    const redis = own.open();
    const heard: string[] = [];
    await redis.subscribe("news", (message) => heard.push(message));
    await own.server.kill();
    await expect(redis.run(addScript, add)).rejects.toThrow(RedisUnavailableError);
    const back = new Promise<void>((resolve) => redis.onReconnect(resolve));
    await own.start();
    await back;
    expect(await redis.run(addScript, add)).toBe(2);
    await waitFor(() => redis.run(shoutScript, { keys: ["news"], args: ["again"] }).then((heardBy) => heardBy === 1));
    await waitFor(() => heard.includes("again"));
  });

  test("a frozen server is an outage within the bound", async () => {
    await using own = await ownRedis();
    const redis = own.open({ answerMs: 300 });
    await waitFor(() => redis.run(addScript, add));
    own.server.pause();
    await expect(redis.run(addScript, add)).rejects.toThrow("did not answer within 300 ms");
    own.server.resume();
    await waitFor(() => redis.run(addScript, add));
  });

  test("a server that was never there is an outage, too", async () => {
    await using own = await ownRedis();
    await own.server.kill();
    await expect(own.open().send("PING")).rejects.toMatchObject({ name: "RedisUnavailableError", retryable: true });
  });
});

describe.skipIf(!(await requiresRedis()))("a Redis server of a test's own", () => {
  test("holds nothing after it was killed, or what it held when a copy was kept", async () => {
    await using own = await ownRedis();
    const redis = own.open();
    await redis.run(addScript, add);
    await own.keep("old");
    await redis.run(addScript, add);
    await own.server.kill();
    await expect(own.server.ended).resolves.toContain("SIGKILL");
    await own.start("old");
    expect(await waitFor(() => redis.run(addScript, add))).toBe(4);
    await own.server.stop();
    await own.start();
    expect(await waitFor(() => redis.run(addScript, add))).toBe(2);
  });
});
