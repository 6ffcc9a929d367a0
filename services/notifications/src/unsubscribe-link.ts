import { createHmac, timingSafeEqual } from "node:crypto";

/** What links that end news are made of. */
export interface Unsubscribing {
  /** At least 32 random bytes as text, the same in every process: signs the links. */
  readonly secret: string;
  /** Where the shop is reached by its people. */
  readonly url: string;
}

// What is signed under this secret must never be mistaken for anything else.
const purpose = "unsubscribe 1";

const signatureOf = (secret: string, personId: string): Buffer =>
  createHmac("sha256", secret).update(`${purpose}\n${personId}`).digest();

/**
 * Where a person ends news by mail, without logging in. It is good for as long as mails lie in mailboxes: all that it can
 * do is end news.
 */
export function unsubscribeUrl({ secret, url }: Unsubscribing, personId: string): string {
  const token = `${personId}.${signatureOf(secret, personId).toString("base64url")}`;
  return `${url.replace(/\/+$/, "")}/v1/unsubscriptions/${token}`;
}

const form = /^([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\.([\w-]{43})$/;

/** Whose link it is; undefined when it is not ours, or was changed. */
export function personOfLink({ secret }: Unsubscribing, token: string): string | undefined {
  const [, personId, signature] = form.exec(token) ?? [];
  if (personId === undefined || signature === undefined) return undefined;
  const genuine = signatureOf(secret, personId);
  const given = Buffer.from(signature, "base64url");
  return given.length === genuine.length && timingSafeEqual(given, genuine) ? personId : undefined;
}
