import type { Job } from "@onsale/runtime";
import { callForCompensations } from "@onsale/saga";
import { askAgain } from "./ask-again.ts";
import { compensations } from "./compensations.ts";
import { createForgottenSearch, watchUnsettled } from "./overlooked.ts";
import type { PaymentsPorts } from "./ports.ts";
import { reconcile } from "./reconcile.ts";
import { forgetWebhooks } from "./store/webhook.ts";
import { watchProviders } from "./watch-providers.ts";

// The provider sends an event again for some days; a month leaves room for one that somebody has it resend by hand.
const webhookMemoryDays = 31;
const forgetLimit = 5_000;

export const jobs: readonly Job<PaymentsPorts>[] = [
  {
    name: "payments.ask-again",
    // Also what serves the next question of a reversal, so it looks often; an empty look is one index probe.
    everyMs: 500,
    async run(context, signal) {
      while ((await askAgain(context, signal)) > 0 && !signal.aborted);
    },
  },
  // A look is four index probes; what a second costs is a second's buyers.
  { name: "payments.watch-providers", everyMs: 1_000, run: watchProviders },
  // A person waits for it; an empty look is two index probes.
  { name: "payments.reconcile", everyMs: 500, run: reconcile },
  { name: "payments.watch-unsettled", everyMs: 15_000, run: watchUnsettled },
  { name: "payments.find-forgotten", everyMs: 10_000, run: createForgottenSearch() },
  {
    name: "payments.forget-webhooks",
    everyMs: 3_600_000,
    async run({ database }, signal) {
      while ((await forgetWebhooks(database, webhookMemoryDays, forgetLimit)) === forgetLimit && !signal.aborted);
    },
  },
  {
    name: "payments.call-for-compensations",
    // An event is tried for minutes before it is given up, and a person comes later still; an empty look is two index probes.
    everyMs: 10_000,
    async run({ database, ports }) {
      await database.transaction((tx) =>
        callForCompensations(tx, { reader: "payments", compensations, ids: ports.ids }),
      );
    },
  },
];
