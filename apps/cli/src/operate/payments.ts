/** Payments, from the command line. */

import { setTimeout as sleep } from "node:timers/promises";
import { type Command, InvalidArgumentError } from "commander";
import { CommandFailure, type DataAndOutput, printResult, withDataAndOutput } from "../output.ts";
import type { OperationsApi } from "./operations-api.ts";

interface Finding {
  readonly kind: "MISSING" | "DIFFERENT" | "DUPLICATE" | "UNKNOWN";
  readonly detail: string;
  readonly repair: "ASK" | "GIVE_BACK" | "PERSON";
  readonly state: "OPEN" | "REPAIRED" | "TASK";
}

interface Run {
  readonly runId: string;
  readonly endedAt: string | null;
  readonly failure: string | null;
  readonly lines: number;
  readonly orders: number;
  readonly findings: readonly Finding[];
}

export interface Reconciliation {
  readonly runId: string;
  /** Lines of the providers' statements, and orders that were compared. */
  readonly lines: number;
  readonly orders: number;
  /** Where the ledgers differ now. */
  readonly findings: readonly Finding[];
  readonly repaired: readonly Finding[];
  /** What only a person can put right: it has a task. */
  readonly handedOver: readonly Finding[];
}

export function register(program: Command): void {
  const payments = program.command("payments").description("look after card payments");
  withDataAndOutput(payments.command("reconcile"))
    .description("compare our ledger with the card providers'; exit code 1 where they differ")
    .option("--since <moment>", "only payments that began since: 2026-11-01, or with a time, in UTC", momentOf)
    .option("--repair", "book what is missing, give back what was charged twice, call a person for the rest")
    .action(reconcile);
}

/** A day is its first moment. What tells no time zone is in UTC. Exported for its test. */
export function momentOf(words: string): string {
  const isMoment = /^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d{1,3})?)?(Z|[+-]\d\d:\d\d)?)?$/.test(words);
  const at = Date.parse(/T.*(Z|[+-]\d\d:\d\d)$/.test(words) || !words.includes("T") ? words : `${words}Z`);
  if (!isMoment || Number.isNaN(at))
    throw new InvalidArgumentError("It is a moment like 2026-11-01 or 2026-11-01T09:30:00Z.");
  return new Date(at).toISOString();
}

// It is another process: there is no event to wait for.
const lookEveryMs = 200;

async function reconcile({
  data,
  repair = false,
  since,
  output,
}: DataAndOutput & { readonly repair?: boolean; readonly since?: string }): Promise<void> {
  const { operating } = await import("./operations-api.ts");
  const result = await operating(data, "payments", (api) => reconcileLedgers(api, { repair, ...(since && { since }) }));
  printResult(output, result, inWords);
  if (result.findings.length > 0) process.exitCode = 1;
}

/** Has the shop compare its ledger with the providers', and waits for the end of it. */
export async function reconcileLedgers(
  api: OperationsApi,
  wish: { readonly repair: boolean; readonly since?: string },
): Promise<Reconciliation> {
  const { runId } = await api.send<{ runId: string }>("POST", "payments/reconciliations", wish);
  for (;;) {
    const run = await api.get<Run>(`payments/reconciliations/${runId}`);
    if (run.failure !== null) throw new CommandFailure(run.failure);
    if (run.endedAt !== null) return resultOf(run);
    await sleep(lookEveryMs, undefined, { signal: api.signal });
  }
}

function resultOf({ runId, lines, orders, findings }: Run): Reconciliation {
  const inState = (state: Finding["state"]) => findings.filter((finding) => finding.state === state);
  return {
    ...{ runId, lines, orders },
    ...{ findings: inState("OPEN"), repaired: inState("REPAIRED"), handedOver: inState("TASK") },
  };
}

function inWords({ lines, orders, findings, repaired, handedOver }: Reconciliation): string {
  const list = (what: string, some: readonly Finding[]) =>
    some.map(({ kind, detail }) => `  ${what} ${kind}: ${detail}`);
  return [
    `${orders} orders and ${lines} lines were compared: ${findings.length} differences, ${repaired.length} repaired, ${handedOver.length} with a person.`,
    ...list("open", findings),
    ...list("repaired", repaired),
    ...list("task", handedOver),
  ].join("\n");
}
