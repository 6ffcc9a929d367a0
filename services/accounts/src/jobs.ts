import type { Job } from "@onsale/runtime";
import { ensureOperator } from "./ensure-operator.ts";
import type { AccountsPorts } from "./ports.ts";
import { forgetExpiredTokens } from "./store/session.ts";

const minuteMs = 60_000;
// A crowd of a thousand log-ins a minute, ten times over.
const tokensForgottenAtOnce = 10_000;

export const jobs: readonly Job<AccountsPorts>[] = [
  { name: "accounts.ensure-operator", everyMs: 60 * minuteMs, run: (context) => ensureOperator(context) },
  {
    name: "accounts.forget-expired-tokens",
    everyMs: minuteMs,
    run: async ({ database }) => {
      await forgetExpiredTokens(database, tokensForgottenAtOnce);
    },
  },
];
