/** One change of one key with the event that tells of it: what every writer of a drill does. */

import { randomUUID } from "node:crypto";
import { fact, type Lane, publish } from "@onsale/messaging";
import { bigint, integer, sql, type Transaction, text, uuid } from "@onsale/postgres";
import { accountChanged } from "./account-event.ts";
import type { FaultName } from "./fault-names.ts";

export interface Change {
  readonly key: string;
  readonly round: number;
  /** The first attempt at acting on it fails, in every process anew. */
  readonly stumbles?: boolean;
  /** The first call for it outlives the process that makes it. */
  readonly lingers?: boolean;
  /** The lane that it would take if a key's lane might change. */
  readonly lane?: Lane;
  readonly fault?: FaultName | undefined;
  /** Runs while the key is locked (with the fault `insert-before-lock`: published and not yet locked). */
  readonly meanwhile?: () => Promise<void>;
}

const changeSql = sql("drills.change-account", { takes: [text], gives: { version: bigint } })`
  update account set version = version + 1 where key = $1 returning version`;

const versionSql = sql("drills.account-version", { takes: [text], gives: { version: bigint } })`
  select version from account where key = $1`;

const recordSql = sql("drills.record-change", { takes: [uuid, integer, text, bigint, text], gives: {} })`
  insert into ledger (token, round, key, version, lane) values ($1, $2, $3, $4, $5)`;

/** Changes a key and publishes it; gives the token that names this attempt. */
export async function changeAccount(tx: Transaction, change: Change): Promise<string> {
  const { key, round, fault, stumbles = false, lingers = false, meanwhile } = change;
  const token = randomUUID();
  const lane = laneOf(change);
  const data = { account: key, token, round, stumbles, lingers };
  const tell = (sequence: number): Promise<void> =>
    publish(tx, [fact(accountChanged, { data, sequence, lane, cause: { correlationId: token } })]);

  const publishesFirst = fault === "insert-before-lock";
  if (publishesFirst) {
    await tell((await versionOf(tx, key)) + 1);
    await meanwhile?.();
  }
  const [changed] = await tx.query(changeSql, [key]);
  if (!changed) throw new Error(`There is no account ${key}.`);
  if (!publishesFirst) {
    await meanwhile?.();
    await tell(changed.version);
  }
  await tx.execute(recordSql, [token, round, key, changed.version, lane]);
  return token;
}

async function versionOf(tx: Transaction, key: string): Promise<number> {
  const [row] = await tx.query(versionSql, [key]);
  return row?.version ?? 0;
}

/** A key stays in the lane that it is in. */
const laneOf = ({ key, lane, fault }: Change): Lane =>
  (fault === "lane-change-without-rule" ? lane : undefined) ?? (/[05]$/.test(key) ? "bulk" : "online");
