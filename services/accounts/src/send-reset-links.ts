import type { BuyerId } from "@onsale/contracts/ids";
import type { ServiceContext } from "@onsale/runtime";
import { keysOf } from "./attempt.ts";
import { isConfigured } from "./configured-account.ts";
import type { AccountsPorts, ResetMail } from "./ports.ts";
import { linkMinutes, pauseMs, type ResetLink, signLink } from "./reset-link.ts";
import { findLogIn, lockAccount, readAccount } from "./store/account.ts";
import { spendTry } from "./store/attempt.ts";
import { claimDue, postponeMail, putLink, settleMail, takeRequests } from "./store/reset.ts";
import { telemetry } from "./telemetry.ts";

type Context = Pick<ServiceContext<AccountsPorts>, "database" | "ports">;

// One run's work: a mail server takes ten at once, and a hundred requests a second are more than a shop of millions has.
const requestsAtOnce = 100;
const mailsAtOnce = 10;
// Mail servers answer in a second; a minute later the next attempt may begin.
const mailTimeoutMs = 20_000;

/** Makes a link for everybody who asked and has an account, and mails those that are due. */
export async function sendResetLinks(context: Context, signal: AbortSignal): Promise<void> {
  await makeLinks(context);
  const { resetMail } = context.ports;
  if (resetMail) await mailLinks(context, resetMail, signal);
}

async function makeLinks({ database, ports }: Context): Promise<void> {
  await database.transaction(async (tx) => {
    for (const { email } of await takeRequests(tx, requestsAtOnce)) {
      // The configuration keeps that password, and nobody's mail.
      const account = isConfigured(ports, email) ? undefined : await findLogIn(tx, email);
      if (account === undefined) continue;
      // A stranger who asks again and again must not fill somebody's mailbox.
      const { mails } = keysOf(ports.secret, { email, address: "" });
      if ((await spendTry(tx, "mails", mails)) > 0) continue;
      const { accountId } = account;
      if ((await lockAccount(tx, accountId))?.erasedAt !== null) continue;
      await putLink(tx, { accountId, resetId: ports.ids.uuid(), minutes: linkMinutes });
    }
  });
}

async function mailLinks(context: Context, resetMail: ResetMail, signal: AbortSignal): Promise<void> {
  const { database } = context;
  const due = await claimDue(database, mailsAtOnce);
  await Promise.all(
    due.map(async (link) => {
      const { resetId, attempts } = link;
      try {
        await mailLink(context, link, { resetMail, signal });
        await settleMail(database, resetId);
      } catch (error) {
        telemetry.mailNotTaken({ resetId, attempts, error });
        await postponeMail(database, resetId, pauseMs(attempts));
      }
    }),
  );
}

async function mailLink(
  { database, ports }: Context,
  { accountId, ...link }: ResetLink & { readonly accountId: BuyerId },
  { resetMail, signal }: { readonly resetMail: ResetMail; readonly signal: AbortSignal },
): Promise<void> {
  const account = await readAccount(database, accountId);
  // Erased since it was made: there is nobody to tell.
  if (account === undefined) return;
  const bound = AbortSignal.any([signal, AbortSignal.timeout(mailTimeoutMs)]);
  const { resetId: id, expiresAt } = link;
  const { email: to, name } = account;
  await resetMail.send({ id, to, name, token: signLink(ports.secret, link), expiresAt }, bound);
  telemetry.linkMailed();
}
