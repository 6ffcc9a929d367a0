import type { ServiceContext } from "@onsale/runtime";
import { type Attempt, keysOf, secondsUntilFree } from "./attempt.ts";
import type { Limited, Outcome } from "./outcome.ts";
import { busy, inLine, verifyPassword } from "./password.ts";
import type { AccountsPorts } from "./ports.ts";
import { countFailure, readTries } from "./store/attempt.ts";
import { telemetry } from "./telemetry.ts";

export type CheckedPassword = Outcome<"fits" | "wrong" | "busy"> | Limited;

export interface Claim extends Attempt {
  /** Undefined where nobody has the address: the answer comes after the same work. */
  readonly passwordHash: string | undefined;
  readonly password: string;
}

/** Compares a password, unless too many wrong ones came before it from there or for this account. */
export async function checkPassword(
  { database, ports }: Pick<ServiceContext<AccountsPorts>, "database" | "ports">,
  claim: Claim,
): Promise<CheckedPassword> {
  const keys = keysOf(ports.secret, claim);
  const untilFree = async () => secondsUntilFree(await readTries(database, keys, claim.email));
  // Asked before, so that a flood that has used up its tries takes no place in the line; and again in the line, where only
  // two are at a time, so that a crowd that asked together is not let through together.
  const early = await untilFree();
  if (early > 0) return limited(early);
  const checked = await inLine(async (): Promise<CheckedPassword> => {
    const late = await untilFree();
    if (late > 0) return limited(late);
    if (await verifyPassword(claim.passwordHash, claim.password)) return { kind: "fits" };
    await countFailure(database, keys);
    return { kind: "wrong" };
  });
  return checked === busy ? { kind: "busy" } : checked;
}

/** Seconds until somebody may try again, from there and for this account; undefined where they may now. */
export async function usedUp(
  { database, ports }: Pick<ServiceContext<AccountsPorts>, "database" | "ports">,
  attempt: Attempt,
): Promise<Limited | undefined> {
  const untilFree = secondsUntilFree(await readTries(database, keysOf(ports.secret, attempt), attempt.email));
  return untilFree > 0 ? limited(untilFree) : undefined;
}

function limited(retryAfterSeconds: number): Limited {
  telemetry.triesUsedUp();
  return { kind: "limited", retryAfterSeconds };
}
