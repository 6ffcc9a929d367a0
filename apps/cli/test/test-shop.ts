import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ensureSecrets, startProvider } from "@onsale/provider-sim";
import { silentLogger } from "@onsale/runtime";
import { testDatabase } from "@onsale/testing";
import { services } from "../src/audit/subscriptions.ts";
import { choosePort } from "../src/ports.ts";
import { serve } from "../src/serve.ts";
import type { Session } from "../src/session.ts";

/** The whole shop as `up` composes it, on a database of its own, with a provider in a process of its own. */
export interface TestShop extends Session {
  /** Ends the server; database and provider stay, for whoever wants to look at them. */
  stopServer(): Promise<void>;
  close(): Promise<void>;
}

export async function startTestShop(): Promise<TestShop> {
  const data = await mkdtemp(join(tmpdir(), "onsale-shop-"));
  const secretsFolder = join(data, "secrets");
  await mkdir(secretsFolder);
  const secretFile = join(secretsFolder, "provider.json");
  const { apiSecret, webhookSecret } = await ensureSecrets(secretFile);
  const provider = await startProvider({ directory: join(data, "provider"), secretFile });
  const database = await testDatabase({ services });
  const operator = { email: "operator@onsale.example", password: "only for this test" };
  const server = await serve({
    adminUrl: database.adminUrl,
    port: await choosePort([]),
    version: "0",
    logger: silentLogger(),
    secretsFolder,
    provider: { url: provider.url, apiSecret, webhookSecret },
    operator,
    chatUrl: undefined,
  });
  let stopped: Promise<void> | undefined;
  const stopServer = (): Promise<void> => {
    stopped ??= server.stop("the test has what it needs");
    return stopped;
  };
  return {
    url: server.url,
    databaseUrl: database.adminUrl,
    providerUrl: provider.url,
    providerSecret: apiSecret,
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
