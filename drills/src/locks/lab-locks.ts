import { rm } from "node:fs/promises";
import { RedisLocks } from "@onsale/lock";
import { migrate, openDatabase } from "@onsale/postgres";
import { openRedis, type Redis } from "@onsale/redis";
import { startRedis, whatRedisLacks } from "@onsale/redis/server";
import { openScratch } from "../theatre/stage.ts";
import { atOnce, crowd } from "./crowd.ts";
import { earlyUnlock } from "./early-unlock.ts";
import { foreignKeyDeadlock } from "./foreign-key-deadlock.ts";
import { type Ground, type LabResult, playLab } from "./lab.ts";
import { leaseOverrun } from "./lease-overrun.ts";
import { lostUpdate } from "./lost-update.ts";

export interface LockLabOptions {
  /** An administrator's, of the PostgreSQL server to play on. */
  readonly serverUrl: string;
  /** A Redis that runs; a folder for one of the lab's own; or why there is none. */
  readonly redis: RedisChoice;
  readonly say: (words: string) => void;
}

export type RedisChoice = { readonly url: string } | { readonly directory: string } | { readonly missing: string };

export interface LockLabReport {
  readonly labs: readonly LabResult[];
  /** What could not be played, and why: nothing was shown there. */
  readonly skipped: readonly { readonly name: string; readonly why: string }[];
}

const labs = [lostUpdate, foreignKeyDeadlock, earlyUnlock, leaseOverrun, crowd];

/** Shows each known failure of locks happening, then not: on tables of its own, in a database that goes with it. */
export async function labLocks({ serverUrl, redis, say }: LockLabOptions): Promise<LockLabReport> {
  await using scratch = await openScratch(serverUrl, "lab");
  await migrate({ adminUrl: scratch.url, ...home, sets: [{ owner: "labs", directory: migrations }] });
  const database = openDatabase({ url: scratch.url, ...home, connections: atOnce, applicationName: "lab" });
  await using takers = await openTakers(redis);
  try {
    return await playAll({ database, redis: takers.redis }, { missing: takers.missing, say });
  } finally {
    await database.close();
  }
}

const home = { schema: "labs", role: "onsale_labs" };
const migrations = new URL("../../migrations/labs/", import.meta.url);

async function playAll(
  ground: Ground,
  { missing, say }: { missing: string; say: LockLabOptions["say"] },
): Promise<LockLabReport> {
  const results: LabResult[] = [];
  const skipped: LockLabReport["skipped"][number][] = [];
  for (const lab of labs) {
    say(`lab: ${lab.name}`);
    const played = await playLab(ground, lab);
    if (played.result) results.push(played.result);
    for (const name of played.skipped) {
      say(`SKIPPED: ${name}. ${missing}`);
      skipped.push({ name, why: missing });
    }
  }
  return { labs: results, skipped };
}

interface Takers extends AsyncDisposable {
  readonly redis: Ground["redis"];
  readonly missing: string;
}

/** Two connections, as two processes would have them. */
async function openTakers(choice: RedisChoice): Promise<Takers> {
  const found = await findRedis(choice);
  if ("missing" in found)
    return { redis: undefined, missing: found.missing, [Symbol.asyncDispose]: async () => undefined };
  const open = (): Redis => openRedis({ url: found.url, prefix: `onsale.lab.${process.pid}:`, applicationName: "lab" });
  const connections = [open(), open()] as const;
  return {
    redis: { one: new RedisLocks(connections[0]), other: new RedisLocks(connections[1]) },
    missing: "",
    async [Symbol.asyncDispose]() {
      await Promise.all(connections.map((redis) => redis.close()));
      await found.end();
    },
  };
}

type Found = { readonly url: string; readonly end: () => Promise<void> } | { readonly missing: string };

async function findRedis(choice: RedisChoice): Promise<Found> {
  if ("missing" in choice) return choice;
  if ("url" in choice) return { url: choice.url, end: async () => undefined };
  const missing = await whatRedisLacks();
  if (missing !== undefined) return { missing };
  const { directory } = choice;
  const server = await startRedis({ directory });
  const end = async () => {
    await server.stop();
    await rm(directory, { recursive: true, force: true });
  };
  return { url: server.url, end };
}

/** Whether every failure was shown, and every cure held. */
export const isAllShown = ({ labs: results, skipped }: LockLabReport): boolean =>
  skipped.length === 0 && results.length > 0 && results.every(({ shown }) => shown);

/** The report for people. */
export function labInWords(report: LockLabReport): string {
  const lines = report.labs.flatMap(({ name, without, with: cures, shown }) => [
    `${shown ? "shown    " : "NOT SHOWN"}  ${name}`,
    `           ${"without".padEnd(20)} ${figuresInWords(without)}`,
    ...Object.entries(cures).map(([cure, figures]) => `           ${cure.padEnd(20)} ${figuresInWords(figures)}`),
  ]);
  return [...lines, ...report.skipped.map(({ name, why }) => `skipped    ${name}: ${why}`)].join("\n");
}

const figuresInWords = (figures: Readonly<Record<string, number>>): string =>
  Object.entries(figures)
    .map(([name, value]) => `${name} ${value}`)
    .join(", ");
