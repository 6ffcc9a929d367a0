/** `pgoutput`: events a second that our reader of the write-ahead log gives, over the rows of the same stream that a bare receiver counts. */

import { type Cursor, type FeedName, type LogReader, OutboxLog } from "@onsale/messaging";
import { pairedRow, round } from "../report.ts";
import { eventsOfTransaction, fillOutbox } from "./backlog.ts";
import { countBareRows, makeBareSlot } from "./bare-stream.ts";
import { type Ground, source } from "./ground.ts";
import type { PartOptions, PartReport } from "./part.ts";

const goal = 0.5;
const payloadBytes = 200;
/** As a batch of consumers. */
const readLimit = 1_000;
const feed: FeedName = { reader: "bench", source, lane: "online", slot: 0 };

export async function benchPgoutput(
  { shop, url }: Ground,
  { pairs, events, say, goOn }: PartOptions,
): Promise<PartReport> {
  const log = new OutboxLog({ database: shop.database, reader: "wal" });
  const from = await endOfLog(log);
  const bare = await makeBareSlot(url, "bench_bare", `onsale_${source}_online`);
  const filled = await fillOutbox(url, { events, payloadBytes });
  // Compiled code, and a log that lies in memory.
  await countBareRows(bare, filled.events);
  await countEvents(log, from, filled.events);
  const measured = [];
  for (let pair = 1; pair <= pairs; pair++) {
    goOn();
    const limit = await countBareRows(bare, filled.events);
    const value = await countEvents(log, from, filled.events);
    measured.push({ value: round(value), limit: round(limit) });
    say(`pgoutput, pair ${pair} of ${pairs}: ${round(value)} events/s, bare ${round(limit)} rows/s`);
  }
  return {
    rows: [pairedRow("pgoutput", measured, { unit: "events/s", limit: "bare receiver that counts rows", goal })],
    details: { ...filled, payloadBytes, eventsOfTransaction, pairs: measured },
  };
}

/** Reads what is there until the log is read and not the table; gives the cursor behind it. */
async function endOfLog(log: OutboxLog): Promise<Cursor> {
  const reader = log.open(feed);
  const never = new AbortController().signal;
  try {
    // The beginning of every outbox.
    for (let cursor: Cursor = { snap: "3:3:", high: 0 }; ; ) {
      const chunk = await reader.read(cursor, readLimit);
      cursor = chunk.after;
      if (chunk.drained && "wal" in cursor) return cursor;
      if (chunk.events.length === 0) await reader.wait(never);
    }
  } finally {
    await reader.close();
  }
}

/** Events in a second, from the first to the last of `events`. Nothing is settled, so they can be read again. */
async function countEvents(log: OutboxLog, from: Cursor, events: number): Promise<number> {
  const reader = log.open(feed);
  try {
    return await readAll(reader, from, events);
  } finally {
    await reader.close();
  }
}

async function readAll(reader: LogReader, from: Cursor, events: number): Promise<number> {
  const never = new AbortController().signal;
  let startedAt: number | undefined;
  let count = 0;
  for (let cursor = from; count < events; ) {
    const chunk = await reader.read(cursor, readLimit);
    cursor = chunk.after;
    if (!("wal" in cursor)) throw new Error("The table was read instead of the log.");
    if (chunk.events.length > 0) startedAt ??= performance.now();
    // An event is read from its row when it is asked for, as every consumer asks.
    count += chunk.events.filter(({ event }) => event.sequence > 0).length;
    if (chunk.events.length === 0) await reader.wait(never);
  }
  return (count * 1_000) / (performance.now() - (startedAt ?? 0));
}
