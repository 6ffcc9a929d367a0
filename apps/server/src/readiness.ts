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

/** Tells whether every service's database answers. Whoever asks while a probe is under way gets that probe's answer. */
export function watchDatabases(databases: readonly NamedDatabase[]): {
  readiness(): Promise<Readiness>;
  isReady(): boolean;
} {
  const probes = databases.map(({ name, database }) => ({ name, ask: probe(database) }));
  let ready = true;
  const ask = async (): Promise<Readiness> => {
    const checks = await Promise.all(probes.map(async ({ name, ask }) => [name, await ask()] as const));
    const before = ready;
    ready = checks.every(([, word]) => word === "ok");
    if (before && !ready) telemetry.databaseLost({ checks: Object.fromEntries(checks) });
    if (!before && ready) telemetry.databaseBack();
    return { ready, checks: Object.fromEntries(checks) };
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

/** One question at a time: a frozen server must not collect a question per look. */
function probe(database: Database): () => Promise<string> {
  let asked: Promise<string> | undefined;
  return async () => {
    asked ??= databaseNow(database)
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
