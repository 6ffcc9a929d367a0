import { createTokenSigner, createTokenVerifier, newTokenKey, type TokenSigner } from "@onsale/http";
import { ids, silentLogger } from "@onsale/runtime";
import { compose, type RunningServer, startServer } from "@onsale/server";
import { type OwnRedis, ownRedis, requiresRedis, type TestDatabase, testDatabase, waitFor } from "@onsale/testing";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

const realm = { issuer: "onsale", audience: "onsale" };

describe.skipIf(!(await requiresRedis()))("a shop with a gate", () => {
  let database: TestDatabase;
  let redis: OwnRedis;
  let signer: TokenSigner;
  let server: RunningServer;
  beforeAll(async () => {
    [database, redis] = await Promise.all([testDatabase({ services: [] }), ownRedis()]);
    signer = await createTokenSigner({ ...realm, privateKey: newTokenKey() });
    server = await startServer({
      ...{ adminUrl: database.adminUrl, port: 0, version: "test", logger: silentLogger() },
      tokens: createTokenVerifier({ ...realm, publicKeys: signer.publicKeys }),
      composition: compose({
        ...{ url: "http://127.0.0.1:9", tokens: signer, secret: "unused" },
        operator: { email: "operator@onsale.local", password: "not a secret at all" },
        // Nobody is charged here: what counts is who gets something.
        providers: [{ name: "nobody", url: "http://127.0.0.1:9", apiSecret: "none", webhookSecret: "none" }],
        redis: { url: redis.url, prefix: redis.prefix },
      }),
    });
  });
  afterAll(async () => {
    await server.stop("end of the tests");
    await Promise.all([database.close(), redis[Symbol.asyncDispose]()]);
  });

  async function post(
    path: string,
    { id = ids.uuid(), key = ids.uuid(), role = "customer" as const, body = {} }: Partial<Sent>,
  ) {
    const answer = await fetch(`${server.url}${path}`, {
      method: "POST",
      headers: {
        authorization: `Bearer ${await signer.sign({ id, role }, 600)}`,
        "content-type": "application/json",
        "idempotency-key": key,
      },
      body: JSON.stringify(body),
    });
    const told = (await answer.json()) as { code?: string; orderId?: string };
    return { status: answer.status, code: told.code, replayed: answer.headers.get("idempotency-replayed"), told };
  }

  interface Sent {
    readonly id: string;
    readonly key: string;
    readonly role: "customer" | "operator";
    readonly body: object;
  }

  const basket = { currency: "GBP", lines: [{ sku: "SEAT", quantity: 1 }], payment: { method: "card" } };
  const order = (who: Partial<Sent> = {}) => post("/v1/orders", { ...who, body: basket });

  test("turns away who comes too late at once, and never who was accepted", async () => {
    const operator = { role: "operator" } as const;
    const product = { sku: "SEAT", name: "Seat", priceMinor: 100, currency: "GBP" };
    expect((await post("/v1/admin/products", { ...operator, body: product })).status).toBeLessThan(300);
    expect((await post("/v1/admin/stock-receipts", { ...operator, body: { sku: "SEAT", units: 1 } })).status).toBe(201);
    const first = { id: ids.uuid(), key: ids.uuid() };
    const accepted = await waitFor(async () => {
      const answer = await order(first);
      return answer.status === 202 ? answer : undefined;
    });
    // Until the ledger has decided, others go through to it.
    const refused = await waitFor(async () => {
      const answer = await order();
      return answer.status === 202 ? undefined : answer;
    });
    expect(refused).toMatchObject({ status: 409, code: "SOLD_OUT" });
    expect(await order(first)).toMatchObject({ status: 202, replayed: "true", told: accepted.told });
  });

  test("emptied it has forgotten who was accepted, and the database says so", async () => {
    const second = { id: ids.uuid(), key: ids.uuid() };
    await redis.open().send("FLUSHALL");
    // The shelf is unknown now: the ledger gets to see the order and refuses it.
    const accepted = await waitFor(async () => {
      const answer = await order(second);
      return answer.status === 202 ? answer : undefined;
    });
    await redis.open().send("FLUSHALL");
    await waitFor(async () => (await order()).status === 409);
    expect(await order(second)).toMatchObject({ status: 202, replayed: "true", told: accepted.told });
  });

  test("away it turns nobody away", async () => {
    await redis.server.kill();
    const answer = await order();
    expect(answer.status).toBe(202);
    await redis.start();
    await waitFor(async () => (await order()).status === 409);
  });
});
