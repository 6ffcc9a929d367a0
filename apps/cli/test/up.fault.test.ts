/** One shop that is opened, disturbed in every way, killed and opened again. The tests follow one another on the same data. */

import { access, readdir, stat } from "node:fs/promises";
import { quickestOf, waitFor } from "@onsale/testing";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { isAlive } from "../src/process-mark.ts";
import { familyOf, onsale, opened, readiness, readinessIs, shopFolder } from "./command-line.ts";

const longMs = 240_000;

let shop: Awaited<ReturnType<typeof shopFolder>>;
let up: Awaited<ReturnType<typeof shop.up>>;

beforeAll(async () => {
  shop = await shopFolder();
});
afterAll(async () => {
  await up?.[Symbol.asyncDispose]();
  await shop.remove();
});

/** Kills processes as a machine does, without a word, and waits until they are gone. */
async function kill(...names: ("server" | "postgres" | "provider")[]): Promise<void> {
  const server = await shop.server();
  for (const name of names) process.kill(server[name].pid, "SIGKILL");
  await waitFor(() => names.every((name) => !isAlive(server[name])));
}

describe("a shop", { timeout: longMs }, () => {
  test("is opened by `up`, which says what to open, who the operator is and what to try", async () => {
    // Not the port that every shop prefers: another test's would take it whenever this one is down.
    up = await shop.up(["--port", "0"]);
    await opened(up);
    await up.line(/Ctrl-C closes the shop/);
    const words = up.lines.join("\n");
    const { url } = await shop.server();
    expect(words).toContain(`${url}/reference`);
    expect(words).toContain(`${url}/health/ready`);
    expect(words).toContain(`${url}/metrics`);
    expect(words.match(/^ {2}\S.* --data /gm)).toHaveLength(3);
    const [, email, password] = /Operator +(\S+) +(\S+)/.exec(words) ?? [];
    const logIn = await fetch(`${url}/v1/tokens`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ email, password }),
    });
    expect(logIn.status).toBe(200);
    expect((await fetch(`${url}/reference`)).status).toBe(200);
  });

  test("is described by `status`", async () => {
    const { code, stdout } = await onsale(["status", "--data", shop.root, "-o", "json"]);
    const { url, databaseUrl, providers, server } = await shop.server();
    const [first, second] = providers;
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toEqual({
      ready: true,
      url,
      pid: server.pid,
      data: shop.root,
      log: shop.folder.log,
      databaseUrl,
      providerUrl: first?.url,
      providers: { "card-a": first?.url, "card-b": second?.url },
      kafka: null,
      redis: null,
    });
  });

  test("keeps its secrets from other users", async () => {
    const secrets = await readdir(shop.folder.secrets);
    expect(secrets.length).toBeGreaterThan(0);
    for (const path of [...secrets.map((name) => `${shop.folder.secrets}/${name}`), shop.folder.serverFile])
      expect((await stat(path)).mode & 0o077).toBe(0);
    expect((await stat(shop.root)).mode & 0o077).toBe(0);
  });

  test("is not opened twice: the second is told by whom it is held, since when, and where", async () => {
    const { code, stderr } = await onsale(["up", "--data", shop.root]);
    const { server, url } = await shop.server();
    expect(code).toBe(1);
    expect(stderr).toMatch(new RegExp(`held by .onsale up.: process ${server.pid}, since 20.*serves ${url}`));
  });

  test("is not removed while it runs", async () => {
    const { code, stderr } = await onsale(["reset", "--yes", "--data", shop.root]);
    expect(code).toBe(1);
    expect(stderr).toContain("nothing was removed");
    expect((await shop.status()).ready).toBe(true);
  });

  test("is used by other commands while it runs", async () => {
    const { code, stdout } = await onsale([
      "seed",
      "--sku",
      "A",
      "--units",
      "3",
      "--price-minor",
      "100",
      "--data",
      shop.root,
      "-o",
      "json",
    ]);
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ sku: "A", units: 3, priceMinor: 100 });
  });

  test.each(["SIGKILL", "SIGINT"] as const)("goes on after its PostgreSQL was ended by %s", async (signal) => {
    const { url, postgres } = await shop.server();
    process.kill(postgres.pid, signal);
    await waitFor(async () => (await shop.server()).postgres.pid !== postgres.pid);
    await readinessIs(url, 200);
    expect(up.lines.join("\n")).toContain("PostgreSQL runs again");
  });

  test.skipIf(process.platform !== "linux")(
    "answers 503 in time while its PostgreSQL is frozen, then goes on by itself",
    async () => {
      const { url, postgres } = await shop.server();
      const frozen = familyOf(postgres.pid);
      for (const pid of frozen) process.kill(pid, "SIGSTOP");
      try {
        await readinessIs(url, 503);
        expect(await quickestOf(3, () => readiness(url))).toBeLessThan(2_500);
        const answer = await fetch(`${url}/v1/products`);
        expect(answer.status).toBe(503);
        expect(Number(answer.headers.get("retry-after"))).toBeGreaterThan(0);
        expect((await fetch(`${url}/health/live`)).status).toBe(200);
      } finally {
        for (const pid of frozen) process.kill(pid, "SIGCONT");
      }
      await readinessIs(url, 200);
      await waitFor(async () => (await fetch(`${url}/v1/products`)).status === 200);
    },
  );

  test("starts its payment provider again, at the same address, when that was killed", async () => {
    const before = await shop.server();
    await kill("provider");
    await waitFor(async () => (await shop.server()).provider.pid !== before.provider.pid);
    expect((await shop.server()).providers).toEqual(before.providers);
    for (const { url } of before.providers) expect((await fetch(`${url}/health`)).status).toBe(200);
  });

  test("is taken over after its process was killed alone: what that left is ended, and address and operator stay", async () => {
    const before = await shop.server();
    await kill("server");
    expect([isAlive(before.postgres), isAlive(before.provider)]).toEqual([true, true]);
    expect((await onsale(["status", "--data", shop.root])).code).toBe(1);
    up = await shop.up();
    await opened(up);
    const after = await shop.server();
    expect([isAlive(before.postgres), isAlive(before.provider)]).toEqual([false, false]);
    expect(after.url).toBe(before.url);
    expect((await shop.status()).ready).toBe(true);
  });

  test("recovers after all of its processes were killed", async () => {
    await kill("server", "postgres", "provider");
    up = await shop.up();
    await opened(up);
    expect((await shop.status()).ready).toBe(true);
  });

  test("recovers after a kill in the middle of its start", async () => {
    await kill("server", "postgres", "provider");
    const half = await shop.up();
    await waitFor(async () => isAlive((await shop.server()).server));
    half.signal("SIGKILL");
    await half.ended;
    up = await shop.up();
    await opened(up);
    expect((await shop.status()).ready).toBe(true);
  });

  test("closes in good order on SIGTERM, and leaves nothing running", async () => {
    const { server, postgres, provider } = await shop.server();
    up.signal("SIGTERM");
    expect(await up.ended).toBe(0);
    expect([server, postgres, provider].map(isAlive)).toEqual([false, false, false]);
    expect(await shop.status()).toMatchObject({ ready: false, url: null, pid: null });
  });

  test("ends at once on a second signal", async () => {
    up = await shop.up();
    await opened(up);
    const { postgres, provider } = await shop.server();
    up.signal("SIGINT");
    up.signal("SIGTERM");
    expect([130, 143, 0]).toContain(await up.ended);
    await waitFor(() => !isAlive(postgres) && !isAlive(provider));
  });

  test("is opened and closed by a command that finds none", async () => {
    const { code } = await onsale([
      "seed",
      "--sku",
      "B",
      "--units",
      "3",
      "--price-minor",
      "100",
      "--data",
      shop.root,
      "-o",
      "json",
    ]);
    expect(code).toBe(0);
    const { server, postgres, provider } = await shop.server();
    expect([server, postgres, provider].map(isAlive)).toEqual([false, false, false]);
  });

  test("is removed by `reset --yes`, and only by that", async () => {
    expect((await onsale(["reset", "--data", shop.root])).code).toBe(2);
    await access(shop.folder.postgres);
    expect((await onsale(["reset", "--yes", "--data", shop.root])).code).toBe(0);
    await expect(access(shop.root)).rejects.toThrow("ENOENT");
  });
});
