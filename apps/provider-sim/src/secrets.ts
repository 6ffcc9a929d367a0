import { randomBytes } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { Type } from "typebox";
import { Compile } from "typebox/compile";

/** What a merchant and the provider share. */
export interface ProviderSecrets {
  /** The merchant proves itself with it to the provider. */
  readonly apiSecret: string;
  /** The provider signs webhooks with it: `whsec_` and the key in base64. */
  readonly webhookSecret: string;
}

const secretsFile = Compile(
  Type.Object({
    apiSecret: Type.String({ minLength: 16, pattern: "^[\\x21-\\x7e]+$" }),
    webhookSecret: Type.String({ pattern: "^whsec_[A-Za-z0-9+/]{32,}={0,2}$" }),
  }),
);

/** Reads the secrets from a JSON file. Throws, without telling what the file holds, when they are missing or malformed. */
export async function readSecrets(path: string): Promise<ProviderSecrets> {
  let secrets: unknown;
  try {
    secrets = JSON.parse(await readFile(path, "utf8"));
  } catch (error) {
    // A parse error quotes what it read, so it does not go on as the cause.
    throw new Error(`${path} can't be read as JSON.`, error instanceof SyntaxError ? undefined : { cause: error });
  }
  if (!secretsFile.Check(secrets)) throw new Error(`${path} does not hold an apiSecret and a webhookSecret.`);
  return secrets;
}

/** The same, after making the file with new secrets, for its owner only, where there is none. */
export async function ensureSecrets(path: string): Promise<ProviderSecrets> {
  const secrets: ProviderSecrets = {
    apiSecret: `sk_${randomBytes(24).toString("hex")}`,
    webhookSecret: `whsec_${randomBytes(32).toString("base64")}`,
  };
  try {
    await writeFile(path, `${JSON.stringify(secrets)}\n`, { mode: 0o600, flag: "wx" });
    return secrets;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    return await readSecrets(path);
  }
}
