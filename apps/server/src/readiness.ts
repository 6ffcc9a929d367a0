import { setTimeout as sleep } from "node:timers/promises";
import type { Readiness } from "@onsale/http";
import { type Database, databaseNow } from "@onsale/postgres";
import { telemetry } from "./telemetry.ts";

// A database that takes longer answers no buyer in time either; probes of load balancers give up after 1 to 5 s.
const answerWithinMs = 1_000;

export interface NamedDatabase {
  readonly name: string;
  readonly database: Database;
}

/** Something whose absence is told and does not make the server unready: what needs it waits, everything else goes on. */
export interface Companion {
  readonly name: string;
  ask(): Promise<void>;
  lost(): void;
  back(): void;
}

/**
 * Tells whether every service's database answers, and beside it whether the companion does. Whoever asks while a probe is
 * under way gets that probe's answer.
 */
export function watchDatabases(
  databases: readonly NamedDatabase[],
  companion?: Companion,
): { readiness(): Promise<Readiness>; isReady(): boolean } {
  const probes = databases.map(({ name, database }) => ({ name, ask: probe(() => databaseNow(database)) }));
  const askCompanion = companion && watchCompanion(companion);
  let ready = true;
  const ask = async (): Promise<Readiness> => {
    const [checks, beside] = await Promise.all([
      Promise.all(probes.map(async ({ name, ask }) => [name, await ask()] as const)),
      askCompanion?.(),
    ]);
    const before = ready;
    ready = checks.every(([, word]) => word === "ok");
    if (before && !ready) telemetry.databaseLost({ checks: Object.fromEntries(checks) });
    if (!before && ready) telemetry.databaseBack();
    return { ready, checks: { ...Object.fromEntries(checks), ...beside } };
  };
  let underWay: Promise<Readiness> | undefined;
  return {
    isReady: () => ready,
    readiness() {
      underWay ??= ask().finally(() => {
        underWay = undefined;
      });
      return underWay;
    },
  };
}

function watchCompanion(companion: Companion): () => Promise<Readonly<Record<string, string>>> {
  const ask = probe(() => companion.ask());
  let here = true;
  return async () => {
    const word = await ask();
    const before = here;
    here = word === "ok";
    if (before && !here) companion.lost();
    if (!before && here) companion.back();
    return { [companion.name]: word };
  };
}

/** One question at a time: a frozen server must not collect a question per look. */
function probe(question: () => Promise<unknown>): () => Promise<string> {
  let asked: Promise<string> | undefined;
  return async () => {
    asked ??= question()
      .then(
        () => "ok",
        () => "can't be reached",
      )
      .finally(() => {
        asked = undefined;
      });
    const timer = new AbortController();
    const late = sleep(answerWithinMs, "does not answer", { signal: timer.signal, ref: false }).catch(
      () => "does not answer",
    );
    try {
      return await Promise.race([asked, late]);
    } finally {
      timer.abort();
    }
  };
}
