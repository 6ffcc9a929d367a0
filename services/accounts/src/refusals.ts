import { httpErrors, type ProblemError, problem } from "@onsale/http";
import { errors } from "./errors.ts";
import type { Limited, Outcome } from "./outcome.ts";
import { telemetry } from "./telemetry.ts";

/** What a use case answers when it does not do what was asked, and what goes out for it. */
export type Refusal = Outcome<"busy" | "wrong" | "configured" | "last-admin" | "not-found"> | Limited;

export function refused(refusal: Refusal): ProblemError {
  switch (refusal.kind) {
    case "busy":
      telemetry.passwordQueueFull();
      return problem(503, httpErrors.OVERLOADED, { retryAfterSeconds: 1 });
    case "limited":
      return problem(429, errors.TOO_MANY_ATTEMPTS, { retryAfterSeconds: refusal.retryAfterSeconds });
    case "wrong":
      // Not 401: the token is good, and a client that renewed it would only ask the same again.
      return problem(403, errors.WRONG_PASSWORD);
    case "configured":
      return problem(409, errors.ACCOUNT_CONFIGURED);
    case "last-admin":
      return problem(409, errors.LAST_ADMIN);
    case "not-found":
      return problem(404, errors.ACCOUNT_NOT_FOUND);
    default:
      return refusal satisfies never;
  }
}
