import { defineFact } from "@onsale/runtime";

export const telemetry = {
  accountRegistered: defineFact("account registered", { counter: "onsale_accounts_registered_total" }),
  loggedIn: defineFact("logged in", { counter: "onsale_logins_total" }),
  logInRefused: defineFact("log-in refused", { counter: "onsale_logins_refused_total" }),
  sessionRenewed: defineFact("session renewed", { counter: "onsale_sessions_renewed_total" }),
  refreshTokenReused: defineFact("refresh token used twice; its session is ended", {
    counter: "onsale_refresh_tokens_reused_total",
    level: "warn",
  }),
  passwordQueueFull: defineFact("too many passwords to hash", {
    counter: "onsale_password_queue_full_total",
    level: "warn",
  }),
  operatorEnsured: defineFact("operator account made or changed to what the configuration says", { level: "info" }),
};
