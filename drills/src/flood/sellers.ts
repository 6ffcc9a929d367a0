/** Who makes sales: people, one by one and never slower because the shop is; and an import, as fast as it can. */

import { setTimeout as sleep } from "node:timers/promises";
import { bulkRowCap, fact, type Lane, publish, publishInBulk } from "@onsale/messaging";
import { array, type Database, openDatabase, sql, type Transaction, text } from "@onsale/postgres";
import { roleOf } from "../theatre/stage.ts";
import { saleRecorded } from "./sale-event.ts";

const recordSql = sql("drills.record-sales", { takes: [array(text)], gives: {} })`
  insert into sale (id) select unnest($1::text[])`;

const note = "one ticket, standing, seller 12, paid by card, printed at home".padEnd(160, ".");

const openSource = (url: string, connections: number): Database =>
  openDatabase({ url, schema: "source", role: roleOf("source"), connections, applicationName: "drill seller" });

const saleOf = (sale: string, dueAtMs?: number) =>
  fact(saleRecorded, {
    data: { sale, note, ...(dueAtMs !== undefined && { dueAtMs }) },
    ...{ sequence: 1, cause: { correlationId: sale } },
  });

/** People at the checkout at once. A sale that is due while all of them are busy waits, and its wait counts. */
const checkouts = 16;

export interface Sold {
  readonly sales: number;
  /** Milliseconds from when a sale was to be made to when its transaction was begun, at most. */
  readonly latestStartMs: number;
}

export const openCheckouts = (url: string): Database => openSource(url, checkouts);

/** Makes sales at a rate until `signal` aborts, each at the time that is due for it whatever became of those before. */
export async function sellOnline(
  database: Database,
  { perSecond, name }: { perSecond: number; name: string },
  signal: AbortSignal,
): Promise<Sold> {
  const beganAtMs = Date.now();
  let sales = 0;
  let latestStartMs = 0;
  const serve = async (): Promise<void> => {
    while (!signal.aborted) {
      const sale = sales++;
      const dueAtMs = beganAtMs + (sale * 1_000) / perSecond;
      const earlyMs = dueAtMs - Date.now();
      if (earlyMs > 0) await sleep(earlyMs);
      latestStartMs = Math.max(latestStartMs, Date.now() - dueAtMs);
      await sell(database, `${name}-${sale}`, dueAtMs);
    }
  };
  await Promise.all(Array.from({ length: checkouts }, serve));
  return { sales, latestStartMs };
}

const sell = (database: Database, sale: string, dueAtMs: number): Promise<void> =>
  database.transaction(async (tx) => {
    await Promise.all([tx.execute(recordSql, [[sale]]), publish(tx, [saleOf(sale, dueAtMs)])]);
  });

/** Imports so many sales, in transactions of as many as the kit lets pass in the bulk lane. */
export async function importSales({
  url,
  lane,
  sales,
  name,
}: {
  url: string;
  lane: Lane;
  sales: number;
  name: string;
}): Promise<void> {
  const database = openSource(url, 2);
  const record = async (tx: Transaction, part: readonly string[]) => {
    await tx.execute(recordSql, [part]);
    return part.map((sale) => saleOf(sale));
  };
  if (lane === "bulk") await publishInBulk(database, namesOf(name, sales), record);
  else await importInOnlineLane(database, namesOf(name, sales), record);
  await database.close();
}

/** The fault: nothing tells an import from people. */
async function importInOnlineLane(
  database: Database,
  names: Iterable<string>,
  record: (tx: Transaction, part: readonly string[]) => Promise<readonly ReturnType<typeof saleOf>[]>,
): Promise<void> {
  let part: string[] = [];
  const commit = (): Promise<void> => database.transaction(async (tx) => publish(tx, await record(tx, part)));
  for (const name of names) {
    part.push(name);
    if (part.length < bulkRowCap) continue;
    await commit();
    part = [];
  }
  if (part.length > 0) await commit();
}

function* namesOf(name: string, sales: number): Generator<string> {
  for (let index = 0; index < sales; index++) yield `${name}-${index}`;
}
