import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { connect, createServer, type Server, type Socket } from "node:net";
import { idempotencyOf, idempotently, migrations } from "@onsale/http";
import { type Database, openDatabase, sql, text } from "@onsale/postgres";
import { quickestOf, type TestDatabase, testDatabase, waitFor } from "@onsale/testing";
import { afterAll, beforeAll, expect, test } from "vitest";
import { authorization, listeningServer } from "./server-for-tests.ts";

/** Stands between a client and PostgreSQL, and can stand still or hang up. */
class Gateway {
  readonly #target: { host: string; port: number };
  readonly #sockets = new Set<Socket>();
  #server: Server | undefined;
  #frozen = false;
  port = 0;

  constructor(url: string) {
    const { hostname, port } = new URL(url);
    this.#target = { host: hostname, port: Number(port) };
  }

  async listen(): Promise<void> {
    this.#server = createServer((client) => this.#join(client, connect(this.#target)));
    this.#server.listen(this.port, "127.0.0.1");
    await once(this.#server, "listening");
    this.port = (this.#server.address() as AddressInfo).port;
  }

  /** Bytes stay where they are until `thaw`. */
  freeze(): void {
    this.#frozen = true;
    for (const socket of this.#sockets) socket.pause();
  }

  thaw(): void {
    this.#frozen = false;
    for (const socket of this.#sockets) socket.resume();
  }

  /** Every connection is lost and no new one is taken until `listen`. */
  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.#server?.close();
  }

  #join(client: Socket, upstream: Socket): void {
    for (const [from, to] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      this.#sockets.add(from);
      from.on("data", (data) => to.write(data));
      from.on("error", () => undefined);
      from.on("close", () => {
        this.#sockets.delete(from);
        to.destroy();
      });
      if (this.#frozen) from.pause();
    }
  }
}

const oneSql = sql("test.one", { takes: [], gives: { one: text } })`select 'one' as one`;

let server: TestDatabase;
let gateway: Gateway;
let database: Database;
let http: Awaited<ReturnType<typeof listeningServer>>;
const deadlineMs = 500;

beforeAll(async () => {
  server = await testDatabase({ schema: "shop", sets: [migrations] });
  gateway = new Gateway(await server.tcpUrl());
  await gateway.listen();
  const url = new URL(server.adminUrl);
  url.hostname = "127.0.0.1";
  url.port = String(gateway.port);
  database = openDatabase({
    url: url.href,
    schema: "shop",
    role: "onsale_shop",
    connections: 4,
    applicationName: "unavailable",
  });
  const config = { access: "buyer" } as const;
  http = await listeningServer(
    (routes) => {
      routes.get("/read", { config }, async () => database.query(oneSql, []));
      routes.post("/write", { config }, async (request) => {
        const { body } = await idempotently(database, idempotencyOf(request), async (tx) => ({
          status: 200,
          body: await tx.query(oneSql, []),
        }));
        return body;
      });
    },
    { limits: { deadlineMs } },
  );
});
afterAll(async () => {
  gateway.thaw();
  await Promise.all([http.http.close(), gateway.stop()]);
  await database.close();
  await server.close();
});

let nextKey = 1;
async function ask(method: "GET" | "POST"): Promise<{ status: number; retryAfter: string | null; code?: string }> {
  const headers = { ...(await authorization()), "idempotency-key": `key ${nextKey++}` };
  const answer = await fetch(`${http.url}${method === "GET" ? "/read" : "/write"}`, { method, headers });
  const body = (await answer.json()) as { code?: string };
  return {
    status: answer.status,
    retryAfter: answer.headers.get("retry-after"),
    ...(body.code && { code: body.code }),
  };
}

const both = () => Promise.all([ask("GET"), ask("POST"), ask("GET"), ask("POST")]);
const well = async () => (await both()).every(({ status }) => status === 200);

test("a database that stands still is a 503 within the deadline, and everything goes on when it moves again", async () => {
  expect(await well()).toBe(true);
  gateway.freeze();
  const tookMs = await quickestOf(3, async () => {
    for (const { status, retryAfter, code } of await both())
      expect([status, retryAfter, code]).toEqual([503, "1", "DEADLINE_EXCEEDED"]);
  });
  expect(tookMs).toBeLessThan(deadlineMs * 4);
  gateway.thaw();
  await waitFor(well);
});

test("a database that is gone is a 503, and everything goes on by itself when it is back", async () => {
  expect(await well()).toBe(true);
  await gateway.stop();
  for (const { status, retryAfter, code } of await both())
    expect([status, retryAfter, code]).toEqual([503, "1", "UNAVAILABLE"]);
  await gateway.listen();
  await waitFor(well);
});

test("a connection lost in the middle of requests is a 503 for them, and nothing more", async () => {
  gateway.freeze();
  const asked = both();
  await gateway.stop();
  for (const { status, code } of await asked)
    expect([status, ["UNAVAILABLE", "DEADLINE_EXCEEDED"].includes(code ?? "")]).toEqual([503, true]);
  gateway.thaw();
  await gateway.listen();
  await waitFor(well);
});
