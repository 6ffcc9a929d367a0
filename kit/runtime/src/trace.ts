/** W3C trace context, level 1: `00-<trace id>-<span id>-<flags>`. It is carried through HTTP, outbox and consumer unchanged. */

import { randomBytes } from "node:crypto";

const form = /^00-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-[0-9a-f]{2}$/;

/** The trace id of a `traceparent`, or undefined where it is malformed. */
export const traceIdOf = (traceparent: string): string | undefined => form.exec(traceparent)?.[1];

/** Goes on with a caller's trace under a span of our own; begins a new trace where the header is absent or malformed. */
export function continueTrace(header?: string): string {
  const traceId = header === undefined ? undefined : traceIdOf(header);
  return `00-${traceId ?? randomBytes(16).toString("hex")}-${randomBytes(8).toString("hex")}-01`;
}
