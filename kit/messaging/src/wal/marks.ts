/** Places in the log and snapshots of the table that say something about each other. */

import { type Database, lsn, snapshot, sql, text } from "@onsale/postgres";
import type { Lane } from "../events/event.ts";
import type { WindowSource } from "../outbox/window.ts";
import { type Lsn, parseLsn } from "./lsn.ts";

/**
 * Whoever has had every transaction whose commit lies before `lsn` has had everything that is visible in `snap` up to
 * position `high`, and everything committed before `takenAt`: a transaction shows in a snapshot only after its commit is in
 * the log, and the place was taken after the snapshot.
 */
export interface LagMark {
  readonly lsn: Lsn;
  readonly snap: string;
  readonly high: number;
  readonly takenAt: string;
}

/**
 * A transaction whose commit lies before `lsn` is visible in `snap` or was still in progress there: it may have been
 * between writing its commit and letting it show, as long as a synchronous standby takes to answer.
 */
export interface StartMark {
  readonly lsn: Lsn;
  readonly snap: string;
}

// A message in the log gives a place, and forces the log to disk up to there: otherwise the place might not be sent before
// the next commit, or the log writer's next round after 200 ms.
const placeSql = sql("messaging.place-in-log", { takes: [], gives: { lsn, session: text } })`
  select pg_logical_emit_message(false, 'onsale', ''::text, true) as lsn,
    pg_backend_pid() || '@' || extract(epoch from pg_postmaster_start_time()) as session`;

const snapshotSql = sql("messaging.snapshot-behind-place", { takes: [], gives: { snapshot } })`
  select pg_current_snapshot() as snapshot`;

/** Undefined when the connection was replaced in between: a server that crashed may have given ids and places anew. */
export async function takeLagMark(database: Database, windows: WindowSource, lane: Lane): Promise<LagMark | undefined> {
  const window = await windows.next();
  const [place] = await database.query(placeSql, []);
  if (place?.session !== window.session) return undefined;
  return { lsn: parseLsn(place.lsn), snap: window.snapshot, high: window.highs[lane], takenAt: window.takenAt };
}

export async function takeStartMark(database: Database): Promise<StartMark> {
  // Over one connection, one after the other: first the place, then the snapshot.
  const [[place], [row]] = await Promise.all([database.query(placeSql, []), database.query(snapshotSql, [])]);
  if (!place || !row) throw new Error("The server gave no place in its log.");
  return { lsn: parseLsn(place.lsn), snap: row.snapshot };
}

/**
 * Whether every transaction that was in progress in `earlier` has ended in `later`, a snapshot taken after it: then
 * everything that committed before the earlier one's place is visible in the later one.
 */
export function hasSettled(earlier: string, later: string): boolean {
  const open = new Set(inProgress(later));
  const [, next = ""] = later.split(":");
  return inProgress(earlier).every((xid) => !open.has(xid) && BigInt(xid) < BigInt(next));
}

/** `xmin:xmax:xip,...` */
const inProgress = (snap: string): string[] => snap.split(":")[2]?.split(",").filter(Boolean) ?? [];
