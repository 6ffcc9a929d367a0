/** What keeps a crowd from drowning the server: how much it takes on at once, and how long it lets anybody wait. */

import type { FastifyReply, FastifyRequest, onRequestHookHandler, RouteHandlerMethod } from "fastify";
import { httpErrors } from "./errors.ts";
import { problem } from "./problem.ts";

export interface AdmissionOptions {
  /** Requests that are worked on at once. */
  readonly maximumInFlight: number;
  /** Milliseconds after which a request is answered that it took too long. */
  readonly deadlineMs: number;
  /** Called when work ends that was given up before; its result reaches nobody. */
  readonly onLate: (request: FastifyRequest, error: unknown) => void;
}

export interface Admission {
  /** Refuses before the body is read. */
  readonly admit: onRequestHookHandler;
  /** Gives a handler its place among those in flight, and its deadline. */
  bound(handler: RouteHandlerMethod): RouteHandlerMethod;
  readonly inFlight: () => number;
}

/**
 * A place is held from the start of a handler until its work has really ended, not only until its client was answered: a
 * database that stands still for a minute would otherwise gather a minute of work.
 */
export function createAdmission({ maximumInFlight, deadlineMs, onLate }: AdmissionOptions): Admission {
  let inFlight = 0;
  // One instance for all: a crowd is refused without a stack trace each.
  const overloaded = problem(503, httpErrors.OVERLOADED, { retryAfterSeconds: 1 });
  const tooLate = problem(503, httpErrors.DEADLINE_EXCEEDED, { retryAfterSeconds: 1 });

  return {
    inFlight: () => inFlight,
    admit: (_request, _reply, done) => (inFlight < maximumInFlight ? done() : done(overloaded)),
    bound: (handler) =>
      function bounded(request, reply) {
        // Asked again: many bodies may have been read since the first answer.
        if (inFlight >= maximumInFlight) throw overloaded;
        const work: unknown = handler.call(this, request, reply);
        if (!(work instanceof Promise)) return work;
        inFlight++;
        return withinDeadline(work, request, reply);
      },
  };

  function withinDeadline(work: Promise<unknown>, request: FastifyRequest, reply: FastifyReply): Promise<unknown> {
    return new Promise((resolve, reject) => {
      let late = false;
      const timer = setTimeout(() => {
        if (reply.sent) return;
        late = true;
        reject(tooLate);
      }, deadlineMs);
      const ended = () => {
        inFlight--;
        clearTimeout(timer);
      };
      work.then(
        (value) => {
          ended();
          if (late) onLate(request, undefined);
          else resolve(value);
        },
        (error) => {
          ended();
          if (late) onLate(request, error);
          else reject(error);
        },
      );
    });
  }
}
