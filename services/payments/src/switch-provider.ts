import type { Cause } from "@onsale/messaging";
import type { Database, Queryable } from "@onsale/postgres";
import type { PaymentsPorts } from "./ports.ts";
import {
  introduceProviders,
  listProviderIncidents,
  lockChoice,
  readAnomalies,
  readChoice,
  readProviders,
} from "./store/provider-choice.ts";
import { switchTo } from "./watch-providers.ts";

export interface SwitchWish {
  readonly provider: string;
  readonly reason: string;
  readonly operatorId: string;
  readonly cause: Cause;
}

/**
 * Gives new payments to another provider because an operator says so. One that is down is refused: the rule would take
 * them away again at its next look.
 */
export async function switchByHand(
  database: Database,
  { providers }: Pick<PaymentsPorts, "providers">,
  { provider, reason, operatorId, cause }: SwitchWish,
): Promise<"done" | "unknown" | "down"> {
  const names = providers.map(({ name }) => name);
  if (!names.includes(provider)) return "unknown";
  return await database.transaction(async (tx) => {
    await introduceProviders(tx, names);
    await lockChoice(tx);
    if ((await readProviders(tx, [provider])).some(({ isDown }) => isDown)) return "down";
    await switchTo(tx, { to: provider, why: "OPERATOR", reason, doneBy: operatorId, cause });
    return "done";
  });
}

// A bad day has a dozen; the newest tell how it stands.
const incidentLimit = 50;

/** How the providers stand, for an operator. */
export async function showProviders(database: Queryable, { providers, anomalies }: PaymentsPorts) {
  const [choice, known, incidents] = await Promise.all([
    readChoice(database),
    readProviders(
      database,
      providers.map(({ name }) => name),
    ),
    listProviderIncidents(database, incidentLimit),
  ]);
  const configured = await Promise.all(
    providers.map(async ({ name }) => {
      const row = known.find((it) => it.name === name);
      const { failures, isPendingLong } = await readAnomalies(database, name, anomalies);
      const state = row?.isDown ? ("DOWN" as const) : ("UP" as const);
      return { provider: name, state, since: row?.since ?? null, failures, isPendingLong };
    }),
  );
  const active = choice?.active ?? providers[0]?.name ?? "";
  return { active, activeSince: choice?.since ?? null, providers: configured, incidents };
}
