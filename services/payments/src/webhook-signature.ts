import { createHmac, timingSafeEqual } from "node:crypto";

export interface SignedMessage {
  readonly id: string | undefined;
  /** Seconds since 1970, as it came. */
  readonly timestamp: string | undefined;
  /** `v1,BASE64`, several of them separated by spaces. */
  readonly signature: string | undefined;
  /** The body, byte by byte as it came. */
  readonly body: Buffer;
}

/** A message older or newer than this was recorded by somebody, or a clock is wrong (Standard Webhooks 1.0). */
const toleranceSeconds = 5 * 60;

/**
 * Whether one of the secrets signed the message, not long ago: HMAC-SHA256 over `id.timestamp.body`, as Standard Webhooks
 * 1.0 has it. Node's own HMAC: the reference library's is JavaScript and takes a millisecond for a full batch of events,
 * of the one thread that serves everybody (a test compares the two).
 */
export function isSigned(
  { id, timestamp, signature, body }: SignedMessage,
  secrets: readonly string[],
  nowMs: number,
): boolean {
  if (!id || !signature || timestamp === undefined || !/^\d{1,12}$/.test(timestamp)) return false;
  if (Math.abs(nowMs / 1_000 - Number(timestamp)) > toleranceSeconds) return false;
  const given = signature
    .split(" ")
    .filter((part) => part.startsWith("v1,"))
    .map((part) => Buffer.from(part.slice("v1,".length), "base64"));
  return secrets.some((secret) => {
    const expected = createHmac("sha256", keyOf(secret)).update(`${id}.${timestamp}.`).update(body).digest();
    return given.some((it) => it.length === expected.length && timingSafeEqual(it, expected));
  });
}

const keyOf = (secret: string): Buffer => Buffer.from(secret.replace(/^whsec_/, ""), "base64");
