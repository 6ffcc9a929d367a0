/** When new payments go to another provider. Pure. */

/** When a provider counts as down, and when as back. */
export interface AnomalyRule {
  /** More calls without an answer than this within `withinMs`, and the provider is down. */
  readonly failures: number;
  readonly withinMs: number;
  /** An authorisation whose outcome has been unknown for longer than this, and the provider is down. */
  readonly pendingMs: number;
  /** How often a provider that is down is asked whether it answers. */
  readonly probeEveryMs: number;
  /** So many answers in a row, and it is back: one may be luck. */
  readonly probesToRecover: number;
}

/** What is known of a provider since it was last given the new payments, or came back. */
export interface ProviderHealth {
  readonly name: string;
  readonly isDown: boolean;
  /** Calls of the last `withinMs` that were not answered. */
  readonly failures: number;
  /** Whether an authorisation has been unknown for longer than `pendingMs`. */
  readonly isPendingLong: boolean;
}

export type DownReason = "FAILURES" | "PENDING";
/** `DOWN`: it was found down before, when nobody could take over. */
export type SwitchReason = DownReason | "DOWN" | "OPERATOR" | "CONFIGURATION";

export type Verdict =
  | { readonly kind: "stay" }
  /** It is down; nobody can take over. */
  | { readonly kind: "down"; readonly why: DownReason }
  | { readonly kind: "switch"; readonly to: string; readonly why: DownReason | "DOWN" };

/** Judges the provider that gets the new payments. The others are in the order in which they are to take over. */
export function judge(
  active: ProviderHealth,
  others: readonly Pick<ProviderHealth, "name" | "isDown">[],
  rule: Pick<AnomalyRule, "failures">,
): Verdict {
  const why = anomalyOf(active, rule);
  if (why === undefined && !active.isDown) return { kind: "stay" };
  const to = others.find(({ isDown }) => !isDown)?.name;
  if (to !== undefined) return { kind: "switch", to, why: active.isDown ? "DOWN" : (why ?? "DOWN") };
  return active.isDown || why === undefined ? { kind: "stay" } : { kind: "down", why };
}

function anomalyOf(
  { failures, isPendingLong }: ProviderHealth,
  rule: Pick<AnomalyRule, "failures">,
): DownReason | undefined {
  if (failures > rule.failures) return "FAILURES";
  return isPendingLong ? "PENDING" : undefined;
}

const second = 1_000;
const minute = 60 * second;

/** A hundred calls that nobody answered within a minute, or a buyer who has waited for three: it is not one bad call. */
export const defaultAnomalyRule: AnomalyRule = {
  failures: 100,
  withinMs: minute,
  pendingMs: 3 * minute,
  probeEveryMs: 5 * second,
  probesToRecover: 3,
};
