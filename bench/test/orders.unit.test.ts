import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { violationsOf } from "../src/measure-orders.ts";
import { loggedIn } from "../src/shop-operator.ts";

test("an order that was accepted and is gone, one that nobody was told of, and a measurement of nothing fail the bench", () => {
  expect(violationsOf(250, { acceptedInAll: 250 }, 200)).toEqual([]);
  expect(violationsOf(249, { acceptedInAll: 250 }, 200)).toEqual(["250 orders were accepted, and 249 are there"]);
  expect(violationsOf(251, { acceptedInAll: 250 }, 200)).toEqual(["250 orders were accepted, and 251 are there"]);
  expect(violationsOf(250, { acceptedInAll: 250 }, 0)).toEqual(["no order was confirmed while they were counted"]);
  expect(violationsOf(0, { acceptedInAll: 0 }, 0)).toHaveLength(2);
});

test("a token serves until half of its life is over, and then another is asked for", async () => {
  let issued = 0;
  const livesOfSeconds = [1_800, 0, 1_800];
  const server = createServer((_request, response) => {
    const tokens = { accessToken: `token-${issued}`, expiresIn: livesOfSeconds[issued++] };
    response.end(JSON.stringify(tokens));
  }).listen(0, "127.0.0.1");
  onTestFinished(() => void server.close());
  await once(server, "listening");
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const person = { email: "buyer@bench.example.com", password: "a good password" };

  const longLived = loggedIn(url, person);
  expect(await Promise.all([longLived.token(), longLived.token()])).toEqual(["token-0", "token-0"]);
  expect(await longLived.token()).toBe("token-0");
  const shortLived = loggedIn(url, person);
  expect(await shortLived.token()).toBe("token-1");
  expect(await shortLived.token()).toBe("token-2");
});
