import type { ServiceContext } from "@onsale/runtime";
import { normalizeEmail } from "./account.ts";
import { busy, fitsPassword, hashPassword } from "./password.ts";
import type { AccountsPorts, OperatorLogIn } from "./ports.ts";
import { registerAccount } from "./register-account.ts";
import { findLogIn, makeOperator } from "./store/account.ts";
import { endSessionsOf } from "./store/session.ts";
import { telemetry } from "./telemetry.ts";

type Context = Pick<ServiceContext<AccountsPorts>, "database" | "ports">;

// The job and the log-in share the work of one process; what failed is tried again by whoever comes next.
const ensured = new WeakMap<OperatorLogIn, Promise<void>>();

/** Sees to it that the configured operator can log in. The configuration is the truth: a changed password ends the old one's sessions. */
export async function ensureOperator(context: Context): Promise<void> {
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
  const account = await findLogIn(context.database, normalizeEmail(email));
  if (account === undefined) {
    const cause = { correlationId: context.ports.ids.uuid() };
    const { kind } = await registerAccount(context, { email, password, name: "Operator", role: "operator" }, cause);
    // Another process made it at this moment, perhaps with another password: look again.
    if (kind === "email-taken") return await makeOrChange(context, { email, password });
    if (kind === "busy") throw new Error("The operator's password could not be hashed now.");
    return telemetry.operatorEnsured();
  }
  const fits = await fitsPassword(account.passwordHash, password);
  if (account.role === "operator" && fits === true) return;
  const passwordHash = await hashPassword(password);
  if (fits === busy || passwordHash === busy) throw new Error("The operator's password could not be hashed now.");
  await context.database.transaction(async (tx) => {
    await makeOperator(tx, account.accountId, passwordHash);
    await endSessionsOf(tx, account.accountId);
  });
  telemetry.operatorEnsured();
}
