/** Whoever has an account; a guest has none. */
export type AccountRole = "customer" | "operator" | "admin";

export type RoleDecision = "change" | "unchanged" | "last-admin";

/**
 * Whether an account may have another role: there is always an admin, or nobody could ever make one again.
 *
 * @param admins How many admins there are, counted to two.
 */
export function decideRole({
  before,
  after,
  admins,
}: {
  readonly before: AccountRole;
  readonly after: AccountRole;
  readonly admins: number;
}): RoleDecision {
  if (before === after) return "unchanged";
  return before === "admin" && admins < 2 ? "last-admin" : "change";
}
