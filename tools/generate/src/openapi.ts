import { createHttpServer, createTokenSigner, createTokenVerifier, newTokenKey } from "@onsale/http";
import { openDatabase } from "@onsale/postgres";
import { silentLogger } from "@onsale/runtime";
import { addOperations, compose } from "@onsale/server";

// Nothing is asked of these addresses: routes are added and described, not called.
const nowhere = "http://127.0.0.1:9";
const noDatabase = "postgres://nobody@127.0.0.1:9/nothing";
const realm = { issuer: "onsale", audience: "onsale" };

/** The description of the whole HTTP API, as the running shop gives it at /openapi.json. */
export async function openApi(version: string): Promise<string> {
  const signer = await createTokenSigner({ ...realm, privateKey: newTokenKey() });
  const composition = compose({
    url: nowhere,
    tokens: signer,
    secret: "unused",
    operator: { email: "operator@onsale.local", password: "not a secret at all" },
    providers: [
      {
        name: "nobody",
        url: nowhere,
        apiSecret: "sk_nothing",
        webhookSecret: `whsec_${Buffer.alloc(32).toString("base64")}`,
      },
    ],
  });
  const http = await createHttpServer({
    ...{ name: "Onsale", version, logger: silentLogger() },
    tokens: createTokenVerifier({ ...realm, publicKeys: signer.publicKeys }),
  });
  // No connection is made before the first statement.
  const database = openDatabase({ url: noDatabase, connections: 1, applicationName: "documents" });
  for (const service of composition.services) {
    service.addRoutes(http, { database, feeds: { passed: async () => false } });
  }
  addOperations(
    http,
    composition.services.map(({ name, readers }) => ({ name, readers, database })),
  );
  await http.ready();
  const description = http.swagger();
  await Promise.all([http.close(), database.close(), composition.close()]);
  return `${JSON.stringify(description, null, 2)}\n`;
}
