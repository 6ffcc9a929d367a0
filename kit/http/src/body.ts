import { isUtf8 } from "node:buffer";
import type { FastifyRequest } from "fastify";
import { httpErrors } from "./errors.ts";
import { problem } from "./problem.ts";
import type { HttpServer } from "./route.ts";
import { isStorable } from "./storable.ts";

type Done = (error: Error | null, body?: unknown) => void;

/** Makes JSON in UTF-8 the only body that the server reads. */
export function acceptOnlyJson(http: HttpServer): void {
  // Refuses __proto__ and constructor.prototype, which would otherwise become the prototype of a copied object.
  const parseJson = http.getDefaultJsonParser("error", "error");
  http.removeAllContentTypeParsers();
  http.addContentTypeParser("application/json", { parseAs: "buffer" }, (request, raw: Buffer, done) => {
    if (request.headers["content-encoding"] !== undefined) return done(problem(415, httpErrors.UNSUPPORTED_MEDIA_TYPE));
    if (raw.length === 0) return done(null, undefined);
    if (!isUtf8(raw)) return done(problem(400, httpErrors.MALFORMED_JSON, { detail: "The body is not UTF-8." }));
    request.rawBody = raw;
    readJson(request, raw.toString("utf8"), done, parseJson as JsonParser);
  });
}

type JsonParser = (request: FastifyRequest, text: string, done: Done) => void;

// Only an escape can bring a NUL or half a surrogate pair into a body that is UTF-8, so most bodies need no walk.
const suspiciousEscape = /\\u(?:0000|d[89a-f])/i;

function readJson(request: FastifyRequest, text: string, done: Done, parse: JsonParser): void {
  parse(request, text, (error, body) => {
    if (error) return done(problem(400, httpErrors.MALFORMED_JSON));
    if (suspiciousEscape.test(text) && !isStorable(body)) {
      return done(
        problem(422, httpErrors.VALIDATION_FAILED, {
          detail: "A text has a NUL character or half of a surrogate pair.",
        }),
      );
    }
    done(null, body);
  });
}
