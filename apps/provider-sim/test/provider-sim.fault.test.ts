import { waitFor } from "@onsale/testing";
import { describe, expect, test } from "vitest";
import { badDay, type FaultKind, noFaults, readFaults, setFaults, startProvider } from "../src/index.ts";
import { Doormat, Merchant, type Reply } from "./merchant.ts";

const code = ({ body }: Reply) => (body.error as { code: string } | undefined)?.code;
const always = (kind: FaultKind, more: object = {}) => ({ ...noFaults, shares: { [kind]: 1 }, ...more });

describe("the interface", () => {
  test("a payment is authorised, captured and refunded in parts, never above", async () => {
    await using shop = await Merchant.open();
    const { status, body } = await shop.authorise("k1");
    expect({ status, body }).toMatchObject({
      status: 200,
      body: { status: "authorised", amountMinor: 1000, capturedMinor: 0 },
    });
    const path = `/v1/payments/${body.id}`;
    expect(await shop.call("POST", `${path}/capture`, { key: "k2" })).toMatchObject({
      status: 200,
      body: { capturedMinor: 1000 },
    });
    expect(code(await shop.call("POST", `${path}/cancel`, { key: "k3" }))).toBe("already_captured");
    const refund = (key: string, amountMinor: number) =>
      shop.call("POST", `${path}/refunds`, { key, body: { amountMinor } });
    expect(await refund("k4", 600)).toMatchObject({ status: 200, body: { refundedMinor: 600 } });
    expect(code(await refund("k5", 401))).toBe("more_than_captured");
    expect(await refund("k6", 400)).toMatchObject({ body: { refundedMinor: 1000 } });
    // The answer of a key is the one it had, whatever came after.
    expect(await refund("k4", 600)).toMatchObject({
      status: 200,
      body: { refundedMinor: 600, movement: { key: "k4" } },
    });
    expect(await shop.ledger()).toMatchObject([{ status: "captured", capturedMinor: 1000, refundedMinor: 1000 }]);
  });

  test("queries find a payment by key and by reference", async () => {
    await using shop = await Merchant.open();
    const { body } = await shop.authorise("k1");
    await shop.call("POST", `/v1/payments/${body.id}/capture`, { key: "k2" });
    const found = {
      payments: [
        {
          id: body.id,
          movements: [
            { key: "k1", kind: "authorise" },
            { key: "k2", kind: "capture" },
          ],
        },
      ],
    };
    expect((await shop.call("GET", "/v1/payments?key=k2")).body).toMatchObject(found);
    expect((await shop.call("GET", "/v1/payments?reference=order-of-k1")).body).toMatchObject(found);
    expect((await shop.call("GET", "/v1/payments?key=k3")).body).toEqual({ payments: [] });
  });

  test("a card that is marked is declined, for the reason it names", async () => {
    await using shop = await Merchant.open();
    const declined = await shop.authorise("k1", { card: "card_declined_insufficient_funds" });
    expect(declined).toMatchObject({
      status: 402,
      body: { error: { code: "insufficient_funds" }, payment: { status: "declined" } },
    });
    expect(
      code(
        await shop.call("POST", `/v1/payments/${(declined.body.payment as { id: string }).id}/capture`, { key: "k2" }),
      ),
    ).toBe("already_declined");
  });

  test("bad calls are refused and change nothing", async () => {
    await using shop = await Merchant.open();
    const { body } = await shop.authorise("k1");
    const refusals: [Promise<Reply>, number][] = [
      [shop.call("POST", "/v1/payments", { key: "k2", secret: "wrong" }), 401],
      [shop.call("GET", "/v1/ledger", { secret: "wrong" }), 401],
      [shop.call("POST", "/v1/payments", { body: {} }), 400],
      [shop.authorise("k2", { amountMinor: 0 }), 400],
      [shop.authorise("k2", { amountMinor: 1.5 }), 400],
      [shop.authorise("k2", { currency: "pounds" }), 400],
      [shop.authorise("k2", { surprise: true }), 400],
      [shop.authorise("k2", { reference: "half \ud800" }), 400],
      [shop.authorise("k1", { amountMinor: 1001 }), 422],
      [shop.call("POST", `/v1/payments/${body.id}/capture`, { key: "k1" }), 422],
      [shop.call("POST", `/v1/payments/pay_${"0".repeat(32)}/capture`, { key: "k2" }), 404],
      [shop.call("POST", `/v1/payments/${body.id}/explode`, { key: "k2" }), 404],
      [shop.call("GET", "/v1/payments?key=a&reference=b"), 400],
      [shop.authorise("k2", { card: "x".repeat(20_000) }), 413],
    ];
    for (const [call, status] of refusals) expect((await call).status).toBe(status);
    expect(await shop.ledger()).toHaveLength(1);
    expect((await shop.ledger())[0]?.movements).toHaveLength(1);
  });
});

describe("its process", () => {
  test("everything that was answered survives a kill, under the same keys", async () => {
    await using shop = await Merchant.open();
    const answered = new Map<string, unknown>();
    let next = 0;
    const sendOn = async () => {
      for (;;) {
        const key = `k${next++}`;
        try {
          answered.set(key, (await shop.authorise(key)).body);
        } catch {
          return;
        }
      }
    };
    const senders = Array.from({ length: 32 }, sendOn);
    await waitFor(() => answered.size >= 500, { what: "500 answers" });
    process.kill(shop.provider.pid, "SIGKILL");
    await Promise.all(senders);
    await shop.start();
    const kept = new Map((await shop.ledger()).map((payment) => [payment.movements[0]?.key, payment.id]));
    for (const [key, body] of answered) expect(kept.get(key)).toBe((body as { id: string }).id);
    // The one whose answer was lost is found, or was never there; asked again it is there once.
    for (const key of ["k0", `k${next - 1}`]) await shop.authorise(key);
    const ledger = await shop.ledger();
    expect(new Set(ledger.map(({ movements }) => movements[0]?.key)).size).toBe(ledger.length);
    expect(await shop.authorise("k0")).toMatchObject({ status: 200, body: answered.get("k0") as object });
  });

  test("a folder is served by one process; the next start ends one that was left behind", async () => {
    await using shop = await Merchant.open();
    await shop.authorise("k1");
    const orphan = shop.provider;
    await shop.start();
    expect(await orphan.ended).toBe(0);
    expect(shop.provider.pid).not.toBe(orphan.pid);
    expect(await shop.ledger()).toHaveLength(1);
  });

  test("it ends on SIGTERM with what it owes written down", async () => {
    await using shop = await Merchant.open({ latencyMs: 50 });
    const underWay = Promise.all(Array.from({ length: 20 }, (_, number) => shop.authorise(`k${number}`)));
    await waitFor(async () => (await shop.call("GET", "/v1/payments?key=none")).status === 200);
    const began = performance.now();
    const stopped = shop.provider.stop();
    expect((await underWay).every(({ status }) => status === 200)).toBe(true);
    await stopped;
    expect(await shop.provider.ended).toBe(0);
    // Below the 5 s after which connections that callers keep open would be cut.
    expect(performance.now() - began).toBeLessThan(4_500);
    await shop.start();
    expect(await shop.ledger()).toHaveLength(20);
  });

  test("it says why it can't start", async () => {
    await using shop = await Merchant.open();
    const wrong = {
      directory: `${shop.directory}/other`,
      secretFile: `${shop.directory}/none.json`,
      logFile: `${shop.directory}/log`,
    };
    await expect(startProvider(wrong)).rejects.toThrow(/none\.json/);
    const taken = {
      ...wrong,
      secretFile: `${shop.directory}/secrets.json`,
      port: Number(new URL(shop.provider.url).port),
    };
    await expect(startProvider(taken)).rejects.toThrow("EADDRINUSE");
  });
});

describe("faults on demand", () => {
  test("switching them asks for the secret, tells how often each struck, and survives a restart", async () => {
    await using shop = await Merchant.open();
    const { url } = shop.provider;
    await expect(setFaults(url, "wrong", noFaults)).rejects.toThrow(/401/);
    await setFaults(url, shop.secrets.apiSecret, always("failBefore"));
    expect((await shop.authorise("k1")).status).toBe(500);
    await shop.killAndRestart();
    const report = await readFaults(shop.provider.url, shop.secrets.apiSecret);
    expect(report).toMatchObject({ shares: { failBefore: 1 }, hits: { failBefore: 1, slow: 0 } });
  });

  test("500 before charging leaves nothing, 500 after it leaves the charge", async () => {
    await using shop = await Merchant.open();
    const { apiSecret } = shop.secrets;
    await setFaults(shop.provider.url, apiSecret, always("failBefore"));
    expect((await shop.authorise("k1")).status).toBe(500);
    expect(await shop.ledger()).toEqual([]);
    await setFaults(shop.provider.url, apiSecret, always("failAfter"));
    expect((await shop.authorise("k1")).status).toBe(500);
    expect(await shop.ledger()).toHaveLength(1);
    await setFaults(shop.provider.url, apiSecret, noFaults);
    expect((await shop.authorise("k1")).status).toBe(200);
    expect(await shop.ledger()).toHaveLength(1);
  });

  test("charged, then cut: the caller hears nothing, the ledger has it", async () => {
    await using shop = await Merchant.open();
    await setFaults(shop.provider.url, shop.secrets.apiSecret, always("chargedThenTimeout"));
    await expect(shop.authorise("k1")).rejects.toThrow();
    expect(await shop.ledger()).toHaveLength(1);
  });

  test("slow calls take their time, others do not", async () => {
    await using shop = await Merchant.open();
    await setFaults(shop.provider.url, shop.secrets.apiSecret, {
      ...always("slow", { slowMs: 400 }),
      shares: { slow: 0.5 },
    });
    const took = await Promise.all(
      Array.from({ length: 20 }, async (_, number) => {
        const began = performance.now();
        await shop.authorise(`k${number}`);
        return performance.now() - began;
      }),
    );
    const slow = took.filter((ms) => ms >= 400).length;
    expect(slow).toBeGreaterThan(2);
    expect(slow).toBe((await readFaults(shop.provider.url, shop.secrets.apiSecret)).hits.slow);
  });

  test("the same seed strikes the same calls, another seed others", async () => {
    const strike = async (seed: number) => {
      await using shop = await Merchant.open();
      await setFaults(shop.provider.url, shop.secrets.apiSecret, { ...badDay(seed), slowMs: 0 });
      const keys = Array.from({ length: 200 }, (_, number) => `k${number}`);
      const replies = await Promise.all(
        keys.map((key) =>
          shop.authorise(key).then(
            (reply) => reply.status,
            () => 0,
          ),
        ),
      );
      return replies.join();
    };
    const [first, second, other] = await Promise.all([strike(7), strike(7), strike(8)]);
    expect(second).toBe(first);
    expect(other).not.toBe(first);
  });

  test("settings that make no sense are refused", async () => {
    await using shop = await Merchant.open();
    const wrong = { seed: 1, shares: { meteor: 1 } } as unknown as typeof noFaults;
    await expect(setFaults(shop.provider.url, shop.secrets.apiSecret, wrong)).rejects.toThrow(/400/);
    await expect(setFaults(shop.provider.url, shop.secrets.apiSecret, always("slow", { slowMs: -1 }))).rejects.toThrow(
      /400/,
    );
  });
});

describe("webhooks", () => {
  async function openBoth() {
    const both = new AsyncDisposableStack();
    const shop = both.use(await Merchant.open());
    const mat = both.use(await Doormat.open(() => shop.secrets.webhookSecret));
    return { shop, mat, [Symbol.asyncDispose]: () => both.disposeAsync() };
  }
  const pay = async (shop: Merchant, mat: Doormat, count: number) => {
    await Promise.all(
      Array.from({ length: count }, (_, number) => shop.authorise(`k${number}`, { webhookUrl: mat.url })),
    );
  };
  const arrived = (mat: Doormat, count: number) =>
    waitFor(() => mat.events.length >= count && mat.events, { what: `${count} events` });

  test("each movement is told once, signed, many in one request", async () => {
    await using both = await openBoth();
    const { shop, mat } = both;
    await pay(shop, mat, 150);
    await arrived(mat, 150);
    expect(new Set(mat.events.map(({ id }) => id)).size).toBe(150);
    expect(mat.messages.length).toBeLessThan(20);
    expect(mat.events[0]).toMatchObject({
      type: "payment.authorised",
      data: { status: "authorised", movement: { kind: "authorise" } },
    });
  });

  test("a message is sent again, as the same message, until it is accepted", async () => {
    await using both = await openBoth();
    const { shop, mat } = both;
    mat.answers.push(500, 404, 200);
    await pay(shop, mat, 1);
    await arrived(mat, 1);
    expect(mat.messages).toHaveLength(3);
    expect(new Set(mat.messages).size).toBe(1);
  });

  test("what was not accepted before a kill is sent after it, to the address given last", async () => {
    await using both = await openBoth();
    const { shop, mat } = both;
    mat.answers.push(...Array.from({ length: 50 }, () => 503));
    await pay(shop, mat, 3);
    await waitFor(() => mat.messages.length > 0, { what: "a first try" });
    await shop.killAndRestart();
    mat.answers.length = 0;
    await arrived(mat, 3);
    await using newMat = await Doormat.open(() => shop.secrets.webhookSecret);
    await shop.authorise("k9", { webhookUrl: newMat.url });
    await arrived(newMat, 1);
    expect(new Set(mat.events.map(({ id }) => id)).size).toBe(3);
  });

  test.each([
    ["webhookDuplicate", (ids: string[]) => ids.length === 20 && new Set(ids).size === 10],
    ["webhookLate", (ids: string[]) => ids.length === 10],
    ["webhookReordered", (ids: string[]) => ids.length === 10],
  ] as const)("%s", async (kind, isAsExpected) => {
    await using both = await openBoth();
    const { shop, mat } = both;
    await setFaults(shop.provider.url, shop.secrets.apiSecret, always(kind, { lateMs: 300 }));
    await pay(shop, mat, 10);
    await waitFor(() => isAsExpected(mat.events.map(({ id }) => id)), { what: kind });
    expect((await readFaults(shop.provider.url, shop.secrets.apiSecret)).hits[kind]).toBe(10);
  });

  test("reordered events arrive behind later ones, and what never comes does not come after a restart either", async () => {
    await using both = await openBoth();
    const { shop, mat } = both;
    const { url } = shop.provider;
    await setFaults(url, shop.secrets.apiSecret, always("webhookReordered"));
    const { body } = await shop.authorise("k1", { webhookUrl: mat.url });
    await setFaults(url, shop.secrets.apiSecret, noFaults);
    await shop.call("POST", `/v1/payments/${body.id}/capture`, { key: "k2" });
    await arrived(mat, 2);
    expect(mat.events.map(({ type }) => type)).toEqual(["payment.captured", "payment.authorised"]);
    await setFaults(url, shop.secrets.apiSecret, always("webhookNever"));
    await shop.authorise("k3");
    // Answered once everything before it is on disk, that the event is not owed included.
    await shop.call("GET", "/v1/payments?key=k3");
    await shop.killAndRestart();
    await setFaults(shop.provider.url, shop.secrets.apiSecret, noFaults);
    await shop.authorise("k4");
    const keys = () => mat.events.map(({ data }) => data.movement.key);
    await waitFor(() => keys().includes("k4"), { what: "a later event" });
    expect(keys()).not.toContain("k3");
  });
});
