import type { Job } from "@onsale/runtime";
import { ensureAdmin } from "./ensure-admin.ts";
import type { AccountsPorts } from "./ports.ts";
import { sendResetLinks } from "./send-reset-links.ts";
import { forgetAttempts, forgetOldPlaces } from "./store/attempt.ts";
import { forgetLinks } from "./store/reset.ts";
import { forgetExpiredSessions, forgetExpiredTokens } from "./store/session.ts";

const minuteMs = 60_000;
// A crowd of a thousand log-ins a minute, ten times over.
const forgottenAtOnce = 10_000;
// Who was not there for a quarter of a year is a stranger again.
const placesKeptDays = 90;

export const jobs: readonly Job<AccountsPorts>[] = [
  { name: "accounts.ensure-admin", everyMs: 60 * minuteMs, run: (context) => ensureAdmin(context) },
  { name: "accounts.send-reset-links", everyMs: 1_000, run: sendResetLinks },
  {
    name: "accounts.forget",
    everyMs: minuteMs,
    run: async ({ database }) => {
      await forgetExpiredTokens(database, forgottenAtOnce);
      await forgetExpiredSessions(database, forgottenAtOnce);
      await forgetAttempts(database, forgottenAtOnce);
      await forgetLinks(database, forgottenAtOnce);
      await forgetOldPlaces(database, { days: placesKeptDays, limit: forgottenAtOnce });
    },
  },
];
