/** Looks after the card providers: condemns one by the anomaly rule, gives new payments to another, and finds it back. */

import { providerLineRecovered, providerLineSwitched } from "@onsale/contracts/payments";
import { type Cause, fact, publish } from "@onsale/messaging";
import type { Database, Transaction } from "@onsale/postgres";
import type { ServiceContext } from "@onsale/runtime";
import { closeTasksOf, openTasks } from "@onsale/saga";
import { judge, type ProviderHealth, type SwitchReason, type Verdict } from "./failover.ts";
import type { NamedProvider, PaymentsPorts } from "./ports.ts";
import {
  choose,
  claimProbes,
  countFact,
  forgetFailures,
  introduceProviders,
  lockChoice,
  markDown,
  markUp,
  noteProbe,
  type ProviderChoice,
  readAnomalies,
  readChoice,
  readProviders,
  recordProviderIncident,
} from "./store/provider-choice.ts";
import { telemetry } from "./telemetry.ts";

/** The kind of task that calls a person to a provider that is down. */
export const providerDownTask = "payment.provider-down";

/**
 * One look of one process. What it sees without a lock is judged again under the lock of the choice, so that however many
 * processes see the same, one switches, once.
 */
export async function watchProviders(
  { database, ports }: ServiceContext<PaymentsPorts>,
  signal: AbortSignal,
): Promise<void> {
  const { providers, anomalies } = ports;
  await makeKnown(database, ports);
  await probe(database, ports, signal);
  const choice = await readChoice(database);
  if (choice !== undefined && (await verdictOn(database, choice, providers, anomalies)).kind !== "stay") {
    await database.transaction((tx) => judgeLocked(tx, ports));
  }
  await forgetFailures(database, 2 * anomalies.withinMs);
}

/** The first look on new data, or after the configuration changed. */
async function makeKnown(database: Database, ports: PaymentsPorts): Promise<void> {
  const names = ports.providers.map(({ name }) => name);
  const [choice, known] = await Promise.all([readChoice(database), readProviders(database, names)]);
  if (choice !== undefined && known.length === names.length && names.includes(choice.active)) return;
  await database.transaction(async (tx) => {
    await introduceProviders(tx, names);
    const { active } = await lockChoice(tx);
    const [first] = names;
    if (first !== undefined && !names.includes(active))
      await switchTo(tx, { to: first, why: "CONFIGURATION", doneBy: null, cause: { correlationId: ports.ids.uuid() } });
  });
}

async function verdictOn(
  queryable: Parameters<typeof readProviders>[0],
  { active }: ProviderChoice,
  providers: readonly NamedProvider[],
  rule: PaymentsPorts["anomalies"],
): Promise<Verdict> {
  const names = [active, ...providers.map(({ name }) => name)];
  const [known, seen] = await Promise.all([readProviders(queryable, names), readAnomalies(queryable, active, rule)]);
  const isDown = (name: string): boolean => known.find((it) => it.name === name)?.isDown ?? false;
  const health: ProviderHealth = { name: active, isDown: isDown(active), ...seen };
  const others = providers.filter(({ name }) => name !== active).map(({ name }) => ({ name, isDown: isDown(name) }));
  return judge(health, others, rule);
}

async function judgeLocked(tx: Transaction, { providers, anomalies, ids }: PaymentsPorts): Promise<void> {
  const choice = await lockChoice(tx);
  const verdict = await verdictOn(tx, choice, providers, anomalies);
  if (verdict.kind === "stay") return;
  const { active } = choice;
  if (verdict.why !== "DOWN") await condemn(tx, active, verdict.why, ids.uuid());
  if (verdict.kind === "switch") {
    const cause = { correlationId: ids.uuid() };
    await switchTo(tx, { to: verdict.to, why: verdict.why, doneBy: null, cause });
  }
}

async function condemn(tx: Transaction, provider: string, why: string, taskId: string): Promise<void> {
  const what = `The card provider ${provider} is down by the anomaly rule (${why}).`;
  await markDown(tx, provider);
  await recordProviderIncident(tx, { what: "DOWN", provider, why, doneBy: null });
  await openTasks(tx, [{ taskId, kind: providerDownTask, key: provider, what }]);
  tx.afterCommit(() => telemetry.providerDown({ provider, why }));
}

export interface Switch {
  readonly to: string;
  readonly why: SwitchReason;
  /** The words of the operator, where one did it. */
  readonly reason?: string;
  readonly doneBy: string | null;
  readonly cause: Cause;
}

/** Gives new payments to another provider from this transaction on. The caller holds the choice's lock. */
export async function switchTo(tx: Transaction, { to, why, reason, doneBy, cause }: Switch): Promise<void> {
  const { active: from, version } = await lockChoice(tx);
  if (from === to) return;
  await choose(tx, to);
  await recordProviderIncident(tx, { what: "SWITCHED", provider: to, why: reason ?? why, doneBy });
  const told = { data: { line: "card" as const, from, to, why }, sequence: version + 1, cause };
  await publish(tx, [fact(providerLineSwitched, told)]);
  tx.afterCommit(() => telemetry.providerSwitched({ from, to, why }));
}

/** Asks those that are down whether they answer, each of one process at a time. */
async function probe(
  database: Database,
  { providers, anomalies, ids }: PaymentsPorts,
  signal: AbortSignal,
): Promise<void> {
  const names = providers.map(({ name }) => name);
  const claimed = await claimProbes(database, { names, everyMs: anomalies.probeEveryMs });
  for (const { name, card } of providers.filter(({ name }) => claimed.includes(name))) {
    const answered = await noteProbe(database, name, await card.probe(signal));
    if (answered < anomalies.probesToRecover) continue;
    const cause = { correlationId: ids.uuid() };
    await database.transaction((tx) => recover(tx, name, { probes: anomalies.probesToRecover, cause }));
  }
}

async function recover(
  tx: Transaction,
  provider: string,
  { probes, cause }: { readonly probes: number; readonly cause: Cause },
): Promise<void> {
  await lockChoice(tx);
  if (!(await markUp(tx, provider, probes))) return;
  const why = `It answered ${probes} times in a row.`;
  await recordProviderIncident(tx, { what: "RECOVERED", provider, why, doneBy: null });
  await closeTasksOf(tx, { kind: providerDownTask, keys: [provider], closedBy: "payments", outcome: why });
  const told = { data: { line: "card" as const, provider }, sequence: await countFact(tx), cause };
  await publish(tx, [fact(providerLineRecovered, told)]);
  tx.afterCommit(() => telemetry.providerRecovered({ provider }));
}
