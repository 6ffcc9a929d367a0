/** The server's part of opening a shop, in a file of its own so that its many modules load while the children start. */

import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { createTokenSigner, createTokenVerifier, newTokenKey } from "@onsale/http";
import type { SagaStyle } from "@onsale/orders";
import type { AnomalyRule, AskingAgain } from "@onsale/payments/ports";
import type { Logger } from "@onsale/runtime";
import {
  compose,
  type KafkaChoice,
  type MessageChannels,
  type ProviderWiring,
  type RunningServer,
  startServer,
} from "@onsale/server";
import type { RedisChoice } from "./redis-choice.ts";
import { begunSaga } from "./saga-style.ts";
import { keptSecret } from "./secrets.ts";

export interface ServeOptions {
  readonly adminUrl: string;
  readonly port: number;
  readonly version: string;
  readonly logger: Logger;
  readonly secretsFolder: string;
  readonly providers: readonly ProviderWiring[];
  readonly asking: AskingAgain;
  readonly anomalies: Partial<AnomalyRule>;
  readonly operator: { readonly email: string; readonly password: string };
  readonly messages: MessageChannels;
  /** Absent: as the data was begun. */
  readonly saga: SagaStyle | undefined;
  readonly redis: RedisChoice | undefined;
  /** Where links in mails lead; absent: here. */
  readonly shopUrl: string | undefined;
  readonly trustedProxies: string | undefined;
  /** Absent: events go through PostgreSQL. */
  readonly kafka?: KafkaChoice | undefined;
  /** Puts the services together. Default: as the product does. */
  readonly compose?: typeof compose;
}

// The tokens are for this shop's own API and nobody else's.
const realm = { issuer: "onsale", audience: "onsale" };

export async function serve(options: ServeOptions): Promise<RunningServer> {
  const { adminUrl, port, version, logger, providers, asking, anomalies, operator, messages, redis } = options;
  const saga = options.saga ?? (await begunSaga(adminUrl));
  const privateKey = await keptSecret(options.secretsFolder, "token-key.pem", newTokenKey);
  const secret = await keptSecret(options.secretsFolder, "accounts.key", () => randomBytes(32).toString("base64url"));
  const signer = await createTokenSigner({ ...realm, privateKey });
  const url = `http://127.0.0.1:${port}`;
  return await startServer({
    adminUrl,
    port,
    version,
    logger,
    ...(options.trustedProxies !== undefined && { trustedProxies: options.trustedProxies }),
    ...(options.kafka && { kafka: options.kafka }),
    tokens: createTokenVerifier({ ...realm, publicKeys: signer.publicKeys }),
    composition: (options.compose ?? compose)({
      ...{ url, tokens: signer, secret, operator, providers, asking, anomalies, messages, saga },
      ...(redis && { redis }),
      mailFile: join(options.secretsFolder, "mails.jsonl"),
      ...(options.shopUrl !== undefined && { shopUrl: options.shopUrl }),
    }),
  });
}
