import { randomFillSync } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http";

/** Where everything that a request sets off comes from; passed to `publish` as an event's cause. */
export interface RequestCause {
  readonly correlationId: string;
  /** W3C trace context. */
  readonly traceparent: string;
}

const traceparentForm = /^00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/;
const correlationForm = /^[A-Za-z0-9._:-]{1,64}$/;

/** Goes on with the caller's trace and correlation where they are well-formed, and begins new ones where not. */
export function causeOf(headers: IncomingHttpHeaders): RequestCause {
  const given = headers.traceparent;
  const traceparent = typeof given === "string" && traceparentForm.test(given) ? given : newTraceparent();
  const correlation = headers["x-correlation-id"];
  const known = typeof correlation === "string" && correlationForm.test(correlation);
  return { correlationId: known ? correlation : traceIdOf(traceparent), traceparent };
}

/** The 32 hexadecimal digits that name the trace. */
export const traceIdOf = (traceparent: string): string => traceparent.slice(3, 35);

// Filled for 256 traces at once: asking the system for each costs a twentieth of a small request.
const bytesPerTrace = 24;
const random = Buffer.alloc(256 * bytesPerTrace);
let used = random.length;

function newTraceparent(): string {
  if (used === random.length) {
    randomFillSync(random);
    used = 0;
  }
  const hex = random.toString("hex", used, used + bytesPerTrace);
  used += bytesPerTrace;
  return `00-${hex.slice(0, 32)}-${hex.slice(32)}-01`;
}
