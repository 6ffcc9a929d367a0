/** The registry of everything that the API may refuse with. A code is a promise: clients branch on it. */

export interface ErrorDefinition {
  /** Who declared it: `http` for what every route may answer, else the service. */
  readonly owner: string;
  /** Stable, upper snake case, with one meaning in the whole API. */
  readonly code: string;
  /** The same for every occurrence; what differs is the problem's `detail`. */
  readonly title: string;
  /** Whether the same request may succeed later. Repeat it under the same Idempotency-Key. */
  readonly retryable: boolean;
}

type Specification = Pick<ErrorDefinition, "title" | "retryable">;

const registry = new Map<string, ErrorDefinition>();

/** Declares the errors of one owner. A code that another owner gave a different meaning is an error at start. */
export function defineErrors<const Specifications extends Readonly<Record<string, Specification>>>(
  owner: string,
  specifications: Specifications,
): { readonly [Code in keyof Specifications]: ErrorDefinition } {
  const definitions = Object.entries(specifications).map(([code, { title, retryable }]) => ({
    owner,
    code,
    title,
    retryable,
  }));
  for (const definition of definitions) register(definition);
  return Object.fromEntries(definitions.map((definition) => [definition.code, definition])) as never;
}

/** Every error declared so far, by code: what the page at `/errors` and the documents are made from. */
export const declaredErrors = (): readonly ErrorDefinition[] =>
  [...registry.values()].sort((a, b) => (a.code < b.code ? -1 : 1));

function register(definition: ErrorDefinition): void {
  const { code, title, retryable, owner } = definition;
  if (!/^[A-Z][A-Z0-9_]*$/.test(code)) throw new Error(`${code} is not an error code like SOLD_OUT.`);
  const before = registry.get(code);
  if (before && (before.title !== title || before.retryable !== retryable)) {
    throw new Error(`${owner} and ${before.owner} give the error code ${code} different meanings.`);
  }
  registry.set(code, before ?? definition);
}

/** What any route may answer, whatever it is for. */
export const httpErrors = defineErrors("http", {
  VALIDATION_FAILED: { title: "The request does not have the form that this route takes.", retryable: false },
  MALFORMED_JSON: { title: "The body is not JSON in UTF-8.", retryable: false },
  MALFORMED_REQUEST: { title: "The request is not well-formed HTTP.", retryable: false },
  UNSUPPORTED_MEDIA_TYPE: { title: "This route takes application/json, not encoded.", retryable: false },
  BODY_TOO_LARGE: { title: "The body is larger than this server takes.", retryable: false },
  URI_TOO_LONG: { title: "The URL is longer than this server takes.", retryable: false },
  HEADERS_TOO_LARGE: { title: "The headers are larger than this server takes.", retryable: false },
  REQUEST_TIMEOUT: { title: "The request did not arrive completely in time.", retryable: true },
  UNAUTHENTICATED: { title: "A valid access token is needed.", retryable: false },
  TOKEN_EXPIRED: { title: "The access token has expired.", retryable: false },
  FORBIDDEN: { title: "This person may not do this.", retryable: false },
  NOT_FOUND: { title: "There is nothing here.", retryable: false },
  METHOD_NOT_ALLOWED: { title: "This address does not take this method.", retryable: false },
  IDEMPOTENCY_KEY_MISSING: { title: "This route needs an Idempotency-Key.", retryable: false },
  IDEMPOTENCY_KEY_INVALID: {
    title: "The Idempotency-Key is not 1 to 255 printable ASCII characters.",
    retryable: false,
  },
  IDEMPOTENCY_KEY_REUSED: { title: "This Idempotency-Key was used for another request.", retryable: false },
  IDEMPOTENCY_KEY_IN_PROGRESS: { title: "A request with this Idempotency-Key is under way.", retryable: true },
  BUSY: { title: "Somebody else is changing this at the moment.", retryable: true },
  OVERLOADED: { title: "The server has as much work as it can finish in time.", retryable: true },
  UNAVAILABLE: { title: "The server cannot do this at the moment.", retryable: true },
  DEADLINE_EXCEEDED: { title: "The answer did not come in time; the work may have been done.", retryable: true },
  INTERNAL: { title: "The server failed.", retryable: true },
});
