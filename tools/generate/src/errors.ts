import { declaredErrors } from "@onsale/http";
import { code, table } from "./markdown.ts";

/** Every code that a refusal can carry, from the registries of all who declare some. */
export const errorsPage = (): string =>
  [
    "# Errors",
    "",
    "Every refusal is `application/problem+json` (RFC 9457) with one of these codes. A code is a promise: branch on it.",
    "Where *retryable* says yes, the same request under the same `Idempotency-Key` may succeed later.",
    "",
    ...table(
      ["code", "title", "retryable", "declared by"],
      declaredErrors().map(({ code: name, title, retryable, owner }) => [
        code(name),
        title,
        retryable ? "yes" : "no",
        owner,
      ]),
    ),
    "",
  ].join("\n");
