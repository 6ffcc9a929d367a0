import { defineDuration, defineFact } from "@onsale/runtime";

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
  triesUsedUp: defineFact("a password was not compared: too many wrong ones came before it", {
    counter: "onsale_password_tries_used_up_total",
  }),
  roleChanged: defineFact("an account has another role", {
    counter: "onsale_account_roles_changed_total",
    labels: ["role"],
    level: "info",
  }),
  passwordChanged: defineFact("password changed; the other sessions are ended", {
    counter: "onsale_passwords_changed_total",
  }),
  linkAskedFor: defineFact("a link for a new password asked for", { counter: "onsale_reset_links_asked_for_total" }),
  linkMailed: defineFact("a link for a new password mailed", { counter: "onsale_reset_links_mailed_total" }),
  mailNotTaken: defineFact("a link for a new password could not be mailed; it is tried again", {
    counter: "onsale_reset_mails_not_taken_total",
    level: "warn",
  }),
  accountErased: defineFact("account erased", { counter: "onsale_accounts_erased_total", level: "info" }),
  operatorEnsured: defineFact("operator account made or changed to what the configuration says", { level: "info" }),
};

const hashed = defineDuration("onsale_password_hash_seconds", "how long it took to hash a password or compare it", []);

/** Does the work, which hashes one password, and tells how long it took: how many there were is what attackers cost. */
export async function timedHash<Result>(work: () => Promise<Result>): Promise<Result> {
  const began = performance.now();
  try {
    return await work();
  } finally {
    hashed(performance.now() - began, {});
  }
}
