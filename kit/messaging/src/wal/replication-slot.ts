/** The replication slot of one feed: what it is called, whether it may be believed, and how it comes to be. */

import { createHash } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { type Database, identifier, type Replication, sqlState } from "@onsale/postgres";
import type { Lane } from "../events/event.ts";
import type { FeedName } from "../telemetry.ts";
import { formatLsn, type Lsn, parseLsn } from "./lsn.ts";
import { walSenderTimeoutMs } from "./wal-stream.ts";
import type { SlotTrouble } from "./wal-telemetry.ts";

/** The slot can't be read from. */
export class SlotError extends Error {
  override readonly name = "SlotError";
  readonly trouble: SlotTrouble;
  constructor(trouble: SlotTrouble, message: string, options?: ErrorOptions) {
    super(message, options);
    this.trouble = trouble;
  }
}

/** All slots of ours begin like this, those of other databases of the server included. */
export const slotPrefix = "onsale_";

// PostgreSQL allows 63 bytes.
const longestName = 63;

/** Names of slots are unique on a whole server, so whose it is goes in as a digest, and in words as far as there is room. */
export function slotNameOf({ home }: Database, { reader, source, lane, slot }: FeedName): string {
  const databaseName = home.database.slice(home.database.indexOf("/") + 1);
  const whose = JSON.stringify([databaseName, home.schema, reader, source, lane, slot]);
  const digest = createHash("sha256").update(whose).digest("hex").slice(0, 12);
  const words = `${reader}_${source}_${lane}`.toLowerCase().replace(/[^a-z0-9]+/g, "_");
  return identifier(`${slotPrefix}${digest}_${words}`.slice(0, longestName));
}

export const publicationOf = (source: string, lane: Lane): string => identifier(`onsale_${source}_${lane}`);

/** A connection through which a slot can be read, and of which log it speaks. */
export interface SlotDoor {
  readonly connection: Replication;
  readonly slot: string;
  readonly publication: string;
  /** Server, timeline and publication: a place in the log means something only together with them. */
  readonly origin: string;
}

/** Opens the way to a slot, whatever its state. Throws a `SlotError` that says what is missing. */
export async function openSlotDoor(database: Database, feed: FeedName): Promise<SlotDoor> {
  const slot = slotNameOf(database, feed);
  const publication = publicationOf(feed.source, feed.lane);
  let connection: Replication | undefined;
  try {
    connection = await database.replication(slot, [`wal_sender_timeout=${walSenderTimeoutMs}`]);
    const origin = await originOf(connection, publication);
    return { connection, slot, publication, origin };
  } catch (error) {
    connection?.close();
    throw explained(error);
  }
}

async function originOf(connection: Replication, publication: string): Promise<string> {
  const [system] = await connection.run("IDENTIFY_SYSTEM");
  // A publication that was made anew may have missed rows in between, and PostgreSQL reads on without a word.
  const [published] = await connection.run(`
    select publication.oid || '.' || publication.xmin || '/' || string_agg(member.oid || '.' || member.xmin, ',') as version
    from pg_publication as publication join pg_publication_rel as member on member.prpubid = publication.oid
    where pubname = '${publication}' and pubinsert and pubviaroot group by publication.oid, publication.xmin`);
  if (!published)
    throw new SlotError("other-origin", `There is no publication ${publication} of rows inserted into an outbox.`);
  return `${system?.systemid}/${system?.timeline}/${published.version}`;
}

/** Makes sure that the slot exists and can be read from now on; waits for transactions under way to end when it has to be made. */
export async function ensureSlot({ connection, slot }: SlotDoor): Promise<void> {
  try {
    const trouble = await troubleOf(connection, slot);
    if (trouble === undefined) return;
    if (trouble.trouble !== "absent" && trouble.trouble !== "lost") throw trouble;
    if (trouble.trouble === "lost") await connection.run(`DROP_REPLICATION_SLOT ${slot}`);
    await connection.run(`CREATE_REPLICATION_SLOT ${slot} LOGICAL pgoutput (SNAPSHOT 'nothing')`);
  } catch (error) {
    throw explained(error);
  }
}

/** Makes sure that the slot still has everything that was committed at `from` or later. */
export async function requireSlot({ connection, slot, origin }: SlotDoor, from: Lsn, ofOrigin: string): Promise<void> {
  if (origin !== ofOrigin)
    throw new SlotError("other-origin", `The place in the log speaks of ${ofOrigin}, and this is ${origin}.`);
  const trouble = await troubleOf(connection, slot);
  if (trouble) throw trouble;
  const { confirmed } = await describe(connection, slot);
  // We confirm only what is saved: a slot that is ahead of that was made anew or moved by somebody else.
  if (confirmed > from)
    throw new SlotError(
      "recreated",
      `The slot ${slot} begins at ${formatLsn(confirmed)}, behind ${formatLsn(from)}, up to which was read: somebody made it anew or moved it.`,
    );
}

interface SlotRow {
  readonly plugin: string | null;
  readonly here: boolean;
  readonly temporary: boolean;
  readonly twoPhase: boolean;
  readonly activePid: string | null;
  readonly lost: string | undefined;
  readonly confirmed: Lsn;
}

async function troubleOf(connection: Replication, slot: string): Promise<SlotError | undefined> {
  const row = await find(connection, slot);
  if (!row) return new SlotError("absent", `There is no slot ${slot}.`);
  if (row.plugin !== "pgoutput" || !row.here || row.temporary || row.twoPhase) {
    const kind = `plugin ${row.plugin}, ${row.here ? "this database" : "another database"}${row.temporary ? ", temporary" : ""}${row.twoPhase ? ", two-phase" : ""}`;
    return new SlotError("foreign", `The slot ${slot} is not one of ours: ${kind}.`);
  }
  if (row.lost !== undefined) return new SlotError("lost", `The slot ${slot} has lost its log: ${row.lost}.`);
  if (row.activePid !== null)
    return new SlotError("busy", `The slot ${slot} is being read by the session ${row.activePid}.`);
  return undefined;
}

async function describe(connection: Replication, slot: string): Promise<SlotRow> {
  const row = await find(connection, slot);
  if (!row) throw new SlotError("absent", `There is no slot ${slot}.`);
  return row;
}

async function find(connection: Replication, slot: string): Promise<SlotRow | undefined> {
  const [row] = await connection.run(`
    select plugin, coalesce(database = current_database(), false) as here, temporary, two_phase, active_pid, wal_status,
      invalidation_reason, confirmed_flush_lsn
    from pg_replication_slots where slot_name = '${slot}'`);
  if (!row) return undefined;
  const lost = row.invalidation_reason ?? (row.wal_status === "lost" ? "wal_removed" : undefined);
  return {
    plugin: row.plugin ?? null,
    here: row.here === "t",
    temporary: row.temporary === "t",
    twoPhase: row.two_phase === "t",
    activePid: row.active_pid ?? null,
    lost: lost ?? undefined,
    confirmed: parseLsn(row.confirmed_flush_lsn ?? "0/0"),
  };
}

const refusals: Readonly<Record<string, string>> = {
  "42501": "The user of the database's URL may not replicate: `alter role ... replication` gives the right.",
  "28000": "The server lets nobody replicate from here: pg_hba.conf has no line for it.",
  "53400":
    "The server has no free replication slot: max_replication_slots is too low, or slots of retired readers are left.",
  "53300": "The server has no free sender: max_wal_senders is too low.",
  "55000": "The server does not write what logical replication needs: wal_level is not logical, or it is a standby.",
};

/** What the server's refusal means for who has to remove it. */
function explained(error: unknown): SlotError {
  if (error instanceof SlotError) return error;
  const said = error instanceof Error ? error.message : String(error);
  const words = refusals[sqlState(error) ?? ""];
  return new SlotError("unavailable", words === undefined ? said : `${words} (${said})`, { cause: error });
}

// The session of a reader that went away ends within milliseconds; until then its slot is in use.
const inUse = "55006";
const dropPatienceMs = 2_000;
const dropPollMs = 20;

/** Drops a slot that nobody reads any more. It can't be taken back with a transaction. */
export async function dropSlot(database: Database, slot: string): Promise<void> {
  const connection = await database.replication(slot);
  try {
    const deadline = performance.now() + dropPatienceMs;
    for (;;) {
      try {
        await connection.run(`DROP_REPLICATION_SLOT ${identifier(slot)}`);
        return;
      } catch (error) {
        if (sqlState(error) !== inUse || performance.now() > deadline) throw error;
      }
      await sleep(dropPollMs);
    }
  } finally {
    connection.close();
  }
}
