/** Where the processors' time goes, from /proc; elsewhere than on Linux nothing is known and nothing is claimed. */

import { readdirSync, readFileSync } from "node:fs";

/** Processor seconds used so far, by what used them. */
export type CpuSeconds = Readonly<Record<string, number>>;

const ticksPerSecond = 100;

interface ProcessTimes {
  readonly pid: number;
  readonly parent: number;
  readonly command: string;
  /** Own seconds and those of its ended children. */
  readonly seconds: number;
}

/** Sums the processes below `rootPid`, the server: itself, PostgreSQL, Redis, and the card provider. `except` is not of the shop. */
export function cpuSecondsBelow(rootPid: number, except: number | undefined): CpuSeconds {
  const all = readProcesses();
  const sums: Record<string, number> = {};
  for (const one of descendantsOf(rootPid, all)) {
    if (one.pid === except) continue;
    const name = one.pid === rootPid ? "server" : nameOf(one.command);
    sums[name] = (sums[name] ?? 0) + one.seconds;
  }
  return sums;
}

function nameOf(command: string): string {
  if (command.startsWith("postgres")) return "PostgreSQL";
  return command.startsWith("redis") ? "Redis" : "card provider";
}

function readProcesses(): ProcessTimes[] {
  try {
    return readdirSync("/proc")
      .filter((name) => /^\d+$/.test(name))
      .flatMap(readProcess);
  } catch {
    return [];
  }
}

function readProcess(pid: string): ProcessTimes[] {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "utf8");
    // The command stands in parentheses and may itself hold spaces and parentheses.
    const end = text.lastIndexOf(")");
    const fields = text.slice(end + 2).split(" ");
    const ticks = [11, 12, 13, 14].reduce((sum, index) => sum + Number(fields[index]), 0);
    return [
      {
        pid: Number(pid),
        parent: Number(fields[1]),
        command: text.slice(text.indexOf("(") + 1, end),
        seconds: ticks / ticksPerSecond,
      },
    ];
  } catch {
    // It ended while we looked.
    return [];
  }
}

function descendantsOf(rootPid: number, all: readonly ProcessTimes[]): ProcessTimes[] {
  const root = all.filter(({ pid }) => pid === rootPid);
  const found = [...root];
  for (let next = root; next.length > 0; ) {
    const parents = new Set(next.map(({ pid }) => pid));
    next = all.filter(({ parent }) => parents.has(parent));
    found.push(...next);
  }
  return found;
}
