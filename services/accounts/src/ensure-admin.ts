import type { ServiceContext } from "@onsale/runtime";
import { normalizeEmail } from "./account.ts";
import { renewPassword } from "./change-password.ts";
import { recordRole } from "./change-role.ts";
import { busy, hashPassword, inLine, verifyPassword } from "./password.ts";
import type { AccountsPorts, OperatorLogIn } from "./ports.ts";
import { registerAccount } from "./register-account.ts";
import { findLogIn, lockAccount } from "./store/account.ts";
import { telemetry } from "./telemetry.ts";

type Context = Pick<ServiceContext<AccountsPorts>, "database" | "ports">;

// The job and the log-in share the work of one process; what failed is tried again by whoever comes next.
const ensured = new WeakMap<OperatorLogIn, Promise<void>>();

/**
 * Sees to it that the configured operator can log in, as an admin: whoever writes the configuration has the shop anyway,
 * and somebody has to name the others. The configuration is the truth: a changed password ends the old one's sessions.
 */
export async function ensureAdmin(context: Context): Promise<void> {
  const { operator } = context.ports;
  if (operator === undefined) return;
  const before = ensured.get(operator);
  if (before) return before;
  const work = makeOrChange(context, operator);
  ensured.set(operator, work);
  work.catch(() => ensured.delete(operator));
  await work;
}

async function makeOrChange(context: Context, { email, password }: OperatorLogIn): Promise<void> {
  const { database, ports } = context;
  const cause = { correlationId: ports.ids.uuid() };
  const account = await findLogIn(database, normalizeEmail(email));
  if (account === undefined) {
    const person = { email, password, name: "Operator", role: "admin" } as const;
    const { kind } = await registerAccount(context, person, cause, async () => undefined);
    // Another process made it at this moment, perhaps with another password: look again.
    if (kind === "email-taken") return await makeOrChange(context, { email, password });
    if (kind === "busy") throw new Error("The operator's password could not be hashed now.");
    return telemetry.operatorEnsured();
  }
  const { accountId, passwordHash, role } = account;
  const fits = await inLine(() => verifyPassword(passwordHash, password));
  if (role === "admin" && fits === true) return;
  const renewed = fits === true ? passwordHash : await hashPassword(password);
  if (fits === busy || renewed === busy) throw new Error("The operator's password could not be hashed now.");
  await database.transaction(async (tx) => {
    const roleBefore = (await lockAccount(tx, accountId))?.role ?? role;
    if (roleBefore !== "admin") await recordRole(tx, { accountId, roleBefore, role: "admin", changedBy: null }, cause);
    await renewPassword(tx, { accountId, passwordHash: renewed, keptSession: null });
  });
  telemetry.operatorEnsured();
}
