import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { ShopClient, type ShopClientOptions, ShopUnreachableError } from "../src/shop-client.ts";

type Behaviour = (request: IncomingMessage, response: ServerResponse) => void;

interface BadShop {
  readonly client: ShopClient;
  readonly requests: readonly { readonly key: string | undefined; readonly at: number }[];
}

/** A shop that answers its nth request in the nth way, and every later one in the last. */
async function shopThat(ways: readonly Behaviour[], options: Partial<ShopClientOptions> = {}): Promise<BadShop> {
  const requests: { key: string | undefined; at: number }[] = [];
  const server = createServer((request, response) => {
    const key = request.headers["idempotency-key"];
    requests.push({ key: typeof key === "string" ? key : undefined, at: performance.now() });
    request.resume();
    (ways[requests.length - 1] ?? ways.at(-1))?.(request, response);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const client = new ShopClient({ url, connections: 4, ...options });
  onTestFinished(async () => {
    await client.close();
    server.closeAllConnections();
    server.close();
  });
  return { client, requests };
}

const json =
  (status: number, body: unknown, headers: Record<string, string> = {}): Behaviour =>
  (_request, response) =>
    void response
      .writeHead(status, { "content-type": "application/problem+json", ...headers })
      .end(JSON.stringify(body));
const accept = json(202, { orderId: "1" });
const cut: Behaviour = (request) => request.socket.destroy();
const cutInAnswer: Behaviour = (request, response) => {
  response.writeHead(202, { "content-type": "application/json", "content-length": 100 });
  response.write('{"orderId":', () => request.socket.destroy());
};

const post = { method: "POST", path: "/v1/orders", idempotencyKey: "key", body: {} } as const;

test.each([
  ["503", json(503, { code: "UNAVAILABLE" })],
  ["429", json(429, { code: "TOO_MANY" })],
  ["a gateway's page", ((_, response) => response.writeHead(502).end("<html>")) satisfies Behaviour],
  ["a key in progress", json(409, { code: "IDEMPOTENCY_KEY_IN_PROGRESS", retryable: true })],
  ["a connection cut before the answer", cut],
  ["a connection cut within the answer", cutInAnswer],
])("%s is tried again under the same key until it is answered", async (_, behaviour) => {
  const { client, requests } = await shopThat([behaviour, behaviour, accept]);
  expect(await client.send(post)).toEqual({ status: 202, body: { orderId: "1" }, replayed: false });
  expect(requests.map(({ key }) => key)).toEqual(["key", "key", "key"]);
});

test.each([400, 401, 404, 409, 422])("%i is an answer and is asked for once", async (status) => {
  const { client, requests } = await shopThat([json(status, { code: "NO", retryable: false })]);
  expect(await client.send(post)).toMatchObject({ status, body: { code: "NO" } });
  expect(requests).toHaveLength(1);
});

test("Retry-After is waited for", async () => {
  const { client, requests } = await shopThat([json(503, {}, { "retry-after": "1" }), accept]);
  await client.send(post);
  const [first, second] = requests;
  expect((second?.at ?? 0) - (first?.at ?? 0)).toBeGreaterThanOrEqual(1_000);
});

test("a replayed answer is known as such", async () => {
  const { client } = await shopThat([json(202, {}, { "idempotency-replayed": "true" })]);
  expect(await client.send(post)).toMatchObject({ replayed: true });
});

test("a shop that stays away is given up, and the last failure is told", async () => {
  const { client, requests } = await shopThat([json(503, { code: "UNAVAILABLE", detail: "No database." })], {
    giveUpAfterMs: 300,
  });
  const sending = client.send(post);
  await expect(sending).rejects.toBeInstanceOf(ShopUnreachableError);
  await expect(sending).rejects.toThrow(/POST \/v1\/orders was tried \d+ times: 503 UNAVAILABLE: No database\./);
  expect(requests.length).toBeGreaterThan(1);
});

test("a Retry-After beyond the time that is left is not sat out", async () => {
  const { client, requests } = await shopThat([json(503, {}, { "retry-after": "3600" })], { giveUpAfterMs: 5_000 });
  await expect(client.send(post)).rejects.toBeInstanceOf(ShopUnreachableError);
  expect(requests).toHaveLength(1);
});

test("stopping ends a request under way and one that waits for its next try", async () => {
  const stop = new AbortController();
  const arrived = Promise.withResolvers<void>();
  const hang: Behaviour = () => arrived.resolve();
  const { client } = await shopThat([hang], { signal: stop.signal });
  const sending = client.send(post);
  await arrived.promise;
  stop.abort(new Error("stopped by hand"));
  await expect(sending).rejects.toThrow("stopped by hand");
});

test("connections are kept: a hundred requests use no more than are allowed", async () => {
  const ports = new Set<number | undefined>();
  const { client } = await shopThat([
    (request, response) => {
      ports.add(request.socket.remotePort);
      accept(request, response);
    },
  ]);
  await Promise.all(Array.from({ length: 100 }, () => client.send(post)));
  expect(ports.size).toBeLessThanOrEqual(4);
});
