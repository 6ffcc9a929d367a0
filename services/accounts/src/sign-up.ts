import type { Cause } from "@onsale/messaging";
import type { ServiceContext } from "@onsale/runtime";
import { openSession, type TokenPair, tokenPair } from "./log-in.ts";
import type { Outcome } from "./outcome.ts";
import type { AccountsPorts } from "./ports.ts";
import { registerAccount } from "./register-account.ts";

export type SignedUp =
  | { readonly kind: "signed-up"; readonly accountId: string; readonly tokens: TokenPair }
  | Outcome<"email-taken" | "busy">;

/** Makes a customer's account and logs in: whoever has just chosen a password need not prove it, which would hash it once more. */
export async function signUp(
  context: Pick<ServiceContext<AccountsPorts>, "database" | "ports">,
  person: { readonly email: string; readonly password: string; readonly name: string },
  { userAgent, cause }: { readonly userAgent: string | null; readonly cause: Cause },
): Promise<SignedUp> {
  const { ids, tokens } = context.ports;
  const registered = await registerAccount(context, { ...person, role: "customer" }, cause, (tx, account) =>
    openSession(tx, { ...account, sessionId: ids.uuid(), userAgent }),
  );
  if (registered.kind !== "registered") return registered;
  const { accountId, also: session } = registered;
  return { kind: "signed-up", accountId, tokens: await tokenPair(tokens, session) };
}
