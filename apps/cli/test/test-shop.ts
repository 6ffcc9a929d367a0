import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { SagaStyle } from "@onsale/orders";
import type { StepTimeoutsMs } from "@onsale/orders/ports";
import { eagerAsking } from "@onsale/payments/ports";
import { ensureSecrets, type ProviderSecrets, startProviders } from "@onsale/provider-sim";
import { silentLogger } from "@onsale/runtime";
import { compose } from "@onsale/server";
import { testDatabase } from "@onsale/testing";
import { services } from "../src/audit/subscriptions.ts";
import { choosePort } from "../src/ports.ts";
import { serve } from "../src/serve.ts";
import type { Session } from "../src/session.ts";
import { providerFiles } from "../src/shop-children.ts";

/** The whole shop as `up` composes it, on a database of its own, with a provider in a process of its own. */
export interface TestShop extends Session {
  /** Ends the server; database and provider stay, for whoever wants to look at them. */
  stopServer(): Promise<void>;
  close(): Promise<void>;
}

export interface TestShopOptions {
  /** Who leads the orders' steps. Default: orders. */
  readonly saga?: SagaStyle;
  readonly redis?: { readonly url: string; readonly prefix: string };
  /** As ONSALE_TRUSTED_PROXIES. */
  readonly trustedProxies?: string;
  /** Bounds of an order's waits that differ from its saga's own. */
  readonly stepTimeoutsMs?: StepTimeoutsMs;
}

export async function startTestShop(options: TestShopOptions = {}): Promise<TestShop> {
  const { saga = "orchestrated", redis, trustedProxies, stepTimeoutsMs } = options;
  const data = await mkdtemp(join(tmpdir(), "onsale-shop-"));
  const secretsFolder = join(data, "secrets");
  await mkdir(secretsFolder);
  const books = providerFiles({ provider: join(data, "provider"), secrets: secretsFolder });
  const secrets = await Promise.all(books.map(({ secretFile }) => ensureSecrets(secretFile)));
  const provider = await startProviders({ books });
  const providers = books.map(({ name }, index) => ({
    ...(secrets[index] as ProviderSecrets),
    ...{ name, url: provider.urls[index] ?? "" },
  }));
  const database = await testDatabase({ services });
  const operator = { email: "operator@onsale.example", password: "only for this test" };
  const server = await serve({
    adminUrl: database.adminUrl,
    port: await choosePort([]),
    version: "0",
    logger: silentLogger(),
    secretsFolder,
    providers,
    asking: eagerAsking,
    anomalies: {},
    operator,
    messages: {},
    saga,
    redis,
    shopUrl: undefined,
    trustedProxies,
    ...(stepTimeoutsMs && { compose: (wiring) => compose({ ...wiring, stepTimeoutsMs }) }),
  });
  let stopped: Promise<void> | undefined;
  const stopServer = (): Promise<void> => {
    stopped ??= server.stop("the test has what it needs");
    return stopped;
  };
  return {
    url: server.url,
    databaseUrl: database.adminUrl,
    providers,
    operator,
    data,
    signal: new AbortController().signal,
    stopServer,
    async close() {
      await stopServer();
      await Promise.all([provider.stop(), database.close()]);
      await rm(data, { recursive: true, force: true });
    },
  };
}
