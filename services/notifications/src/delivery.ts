/** What becomes of a message, and of its channel's line, after a call. Pure. */

import type { NotTakenOptions } from "./sender.ts";

/** How patiently messages are sent again, in milliseconds. */
export interface DeliveryRule {
  /** After so many a message is dead. */
  readonly attempts: number;
  /** The wait after the first attempt; it doubles with each. */
  readonly firstWaitMs: number;
  readonly longestWaitMs: number;
  /** How long a line is left alone after its first failure; doubled with each. */
  readonly lineFirstMs: number;
  readonly lineLongestMs: number;
}

/** A provider may be down over night: the last of the attempts comes after nine hours, a line is looked at every minute. */
export const patientDelivery: DeliveryRule = {
  attempts: 16,
  firstWaitMs: 1_000,
  longestWaitMs: 3 * 3_600_000,
  lineFirstMs: 1_000,
  lineLongestMs: 60_000,
};

/** What a call came to. */
export type Told =
  | { readonly kind: "taken" }
  /** The recipient has left the channel. */
  | { readonly kind: "unwanted" }
  /** The line failed before its turn came. */
  | { readonly kind: "uncalled" }
  /** The process was told to stop: nobody knows whether the other side has it. */
  | { readonly kind: "interrupted" }
  | {
      readonly kind: "not-taken";
      readonly fault: NotTakenOptions["fault"];
      readonly retryAfterMs: number;
      readonly failure: string;
    };

/** How a message stands after an attempt. */
export interface Outcome {
  readonly status: "pending" | "sent" | "withdrawn" | "dead";
  /** Milliseconds until it is tried again. */
  readonly waitMs: number;
  readonly failure: string | null;
  /** The attempt that was counted for it did not take place. */
  readonly isUnused: boolean;
}

const over = (status: "sent" | "withdrawn"): Outcome => ({ status, waitMs: 0, failure: null, isUnused: false });

/** `spread`, from 0 to 1, keeps messages that failed together from coming again together. */
export function outcomeOf(told: Told, attempts: number, rule: DeliveryRule, spread: number): Outcome {
  switch (told.kind) {
    case "taken":
      return over("sent");
    case "unwanted":
      return over("withdrawn");
    case "uncalled":
      return { status: "pending", waitMs: 0, failure: null, isUnused: true };
    case "interrupted":
      return { status: "pending", waitMs: 0, failure: null, isUnused: false };
    case "not-taken": {
      const { fault, failure, retryAfterMs } = told;
      if (fault === "refused" || attempts >= rule.attempts)
        return { status: "dead", waitMs: 0, failure, isUnused: false };
      const waitMs = doubled(rule.firstWaitMs, attempts - 1, rule.longestWaitMs) * (0.5 + spread / 2);
      return { status: "pending", waitMs: Math.max(waitMs, retryAfterMs), failure, isUnused: false };
    }
    default:
      return told satisfies never;
  }
}

/** What a batch of calls says about their line. One that answers works, also when it does not like what it is given. */
export type LineNews =
  | { readonly kind: "works" }
  | { readonly kind: "failed"; readonly retryAfterMs: number }
  | { readonly kind: "nothing" };

export function lineNewsOf(told: readonly Told[]): LineNews {
  const failed = told.filter(isLineFault);
  const asked = Math.max(0, ...failed.map(({ retryAfterMs }) => retryAfterMs));
  if (told.some((it) => it.kind === "taken" || (it.kind === "not-taken" && it.fault !== "line")))
    // Some were taken and then we were asked to slow down: that is obeyed.
    return asked > 0 ? { kind: "failed", retryAfterMs: asked } : { kind: "works" };
  return failed.length > 0 ? { kind: "failed", retryAfterMs: asked } : { kind: "nothing" };
}

export const isLineFault = (told: Told): told is Extract<Told, { kind: "not-taken" }> =>
  told.kind === "not-taken" && told.fault === "line";

const doubled = (firstMs: number, times: number, longestMs: number): number =>
  Math.min(longestMs, firstMs * 2 ** Math.min(times, 30));
