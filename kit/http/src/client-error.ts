import type { Socket } from "node:net";
import { httpErrors } from "./errors.ts";
import { type ProblemError, problem, problemBody, problemHeaders, problemMediaType } from "./problem.ts";
import { causeOf, traceIdOf } from "./trace.ts";

/** Answers what never became a request: broken HTTP, headers without end, a client that takes for ever to send. */
export function answerClientError(error: NodeJS.ErrnoException, socket: Socket): void {
  if (error.code === "ECONNRESET" || !socket.writable) return void socket.destroy();
  socket.end(rawAnswer(refusalOf(error.code)));
}

function refusalOf(code: string | undefined): ProblemError {
  if (code === "HPE_HEADER_OVERFLOW") return problem(431, httpErrors.HEADERS_TOO_LARGE);
  if (code === "ERR_HTTP_REQUEST_TIMEOUT") return problem(408, httpErrors.REQUEST_TIMEOUT);
  return problem(400, httpErrors.MALFORMED_REQUEST);
}

const reasons: Readonly<Record<number, string>> = {
  400: "Bad Request",
  408: "Request Timeout",
  431: "Request Header Fields Too Large",
};

function rawAnswer(refusal: ProblemError): string {
  const body = problemBody(refusal, traceIdOf(causeOf({}).traceparent));
  const headers = Object.entries({
    "content-type": problemMediaType,
    "content-length": String(Buffer.byteLength(body)),
    connection: "close",
    ...problemHeaders(refusal),
  }).map(([name, value]) => `${name}: ${value}\r\n`);
  return `HTTP/1.1 ${refusal.status} ${reasons[refusal.status]}\r\n${headers.join("")}\r\n${body}`;
}
