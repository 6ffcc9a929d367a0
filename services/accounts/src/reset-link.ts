import { createHmac, timingSafeEqual } from "node:crypto";

/** What a link says: which one it is, and until when it is good. */
export interface ResetLink {
  readonly resetId: string;
  /** RFC 3339. */
  readonly expiresAt: string;
}

/** A mail comes within seconds and is opened soon; who finds it later asks again. */
export const linkMinutes = 30;

// Two versions of what is signed must never be mistaken for one another, nor for anything else under this secret.
const purpose = "reset link 1";

const signatureOf = (secret: string, content: string): Buffer =>
  createHmac("sha256", secret).update(`${purpose}\n${content}`).digest();

/** The part of a link that proves it is ours: no more than letters, digits, `-`, `_` and `.`. */
export function signLink(secret: string, { resetId, expiresAt }: ResetLink): string {
  const content = `${resetId}.${Date.parse(expiresAt)}`;
  return `${content}.${signatureOf(secret, content).toString("base64url")}`;
}

const form = /^([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\.(\d{13})\.([\w-]{43})$/;

/** What a link of ours says; undefined when it is not ours, or was changed. Whether it is still good, the database knows. */
export function readLink(secret: string, token: string): ResetLink | undefined {
  const [, resetId, expiresAtMs, signature] = form.exec(token) ?? [];
  if (resetId === undefined || expiresAtMs === undefined || signature === undefined) return undefined;
  const genuine = signatureOf(secret, `${resetId}.${expiresAtMs}`);
  const given = Buffer.from(signature, "base64url");
  if (given.length !== genuine.length || !timingSafeEqual(given, genuine)) return undefined;
  return { resetId, expiresAt: new Date(Number(expiresAtMs)).toISOString() };
}

// The first minute has six attempts, then one a minute: a mail server that is away for a while is no lost mail.
const firstPauseMs = 1_000;
const longestPauseMs = 60_000;

/** Milliseconds from the beginning of one attempt at a mail to the next. */
export const pauseMs = (attempts: number): number =>
  Math.min(longestPauseMs, firstPauseMs * 2 ** Math.min(attempts, 6));
