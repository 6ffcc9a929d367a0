/** The whole shop for a drill: a database, the card providers in their process, and a server that can be killed. */

import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { SagaStyle } from "@onsale/orders";
import { openDatabase } from "@onsale/postgres";
import { ensureSecrets, startProviders } from "@onsale/provider-sim";
import { loggedIn } from "../../logged-in.ts";
import { choosePort } from "../../ports.ts";
import { Shop } from "../../shop.ts";
import { providerFiles } from "../../shop-children.ts";
import { ShopClient } from "../../shop-client.ts";
import type { World } from "./attempts.ts";
import { KillableServer } from "./killable-server.ts";

export interface Theatre extends AsyncDisposable {
  readonly server: KillableServer;
  readonly world: World;
}

const operator = { email: "operator@onsale.example", password: "only for this drill" };

/** `adminUrl`: of an empty database. */
export async function openTheatre(adminUrl: string, saga: SagaStyle, signal: AbortSignal): Promise<Theatre> {
  const data = await mkdtemp(join(tmpdir(), "onsale-saga-faults-"));
  const secretsFolder = join(data, "secrets");
  await mkdir(secretsFolder);
  const cards = await openProviders(data, secretsFolder);
  const { providers } = cards;
  const port = await choosePort([]);
  const files = { journal: join(data, "journal"), logFile: join(data, "server.log"), secretsFolder };
  const server = new KillableServer({ ...files, adminUrl, port, providers, operator, saga });
  const client = new ShopClient({ url: `http://127.0.0.1:${port}`, connections: 64, signal });
  const shop = new Shop(client);
  const database = openDatabase({ url: adminUrl, connections: 1, applicationName: "saga faults" });
  return {
    server,
    world: { shop, client, database, databaseUrl: adminUrl, providers, operator: loggedIn(shop, operator), signal },
    async [Symbol.asyncDispose]() {
      await client.close();
      await server.abandon();
      await Promise.all([cards.stop(), database.close()]);
      await rm(data, { recursive: true, force: true });
    },
  };
}

async function openProviders(data: string, secretsFolder: string) {
  const books = providerFiles({ provider: join(data, "provider"), secrets: secretsFolder });
  const secrets = await Promise.all(books.map(({ secretFile }) => ensureSecrets(secretFile)));
  const running = await startProviders({ books });
  const providers = books.map(({ name }, index) => ({
    ...{ name, url: running.urls[index] ?? "" },
    ...{ apiSecret: secrets[index]?.apiSecret ?? "", webhookSecret: secrets[index]?.webhookSecret ?? "" },
  }));
  return { providers, stop: () => running.stop() };
}
