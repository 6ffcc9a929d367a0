import type { Database } from "@onsale/postgres";
import type { Delivered } from "../events/event.ts";
import type { Chunk, LogReader, ReadEvent } from "../log.ts";
import type { Doorbell } from "../outbox/doorbell.ts";
import { toDelivered } from "../outbox/outbox-row.ts";
import type { OutboxCursor, SnapshotReader, WalPosition } from "../outbox/snapshot-reader.ts";
import type { WindowSource } from "../outbox/window.ts";
import type { WrittenRow } from "../outbox/written-row.ts";
import { slotOf } from "../slot.ts";
import type { FeedName } from "../telemetry.ts";
import { hasSettled, type LagMark, type StartMark, takeLagMark, takeStartMark } from "./marks.ts";
import type { Wanted } from "./pgoutput.ts";
import { ensureSlot, openSlotDoor, requireSlot, type SlotDoor, SlotError, slotNameOf } from "./replication-slot.ts";
import { WalStream } from "./wal-stream.ts";
import type { OutboxLogTelemetry } from "./wal-telemetry.ts";

export interface WalReaderOptions {
  readonly feed: FeedName;
  /** Undefined: every type. */
  readonly types: readonly string[] | undefined;
  /** Streams that the lane is divided into. */
  readonly slots: number;
  readonly database: Database;
  readonly windows: WindowSource;
  /** Reads the table while the slot can't be read from. */
  readonly snapshots: SnapshotReader;
  /** Waits while the table is read. */
  readonly ear: { wait(signal: AbortSignal): Promise<void>; found(something: boolean): void };
  readonly bell: Doorbell;
  readonly telemetry: OutboxLogTelemetry;
}

// What a fall back to the table repeats at most, and how late an idle lane's watermark is at most (deadlines allow 1 s).
const markEveryMs = 500;
// Who rings waits for the watermark to pass its own commit. A mark costs a flush of the log.
const markWhenRungMs = 25;

// The session of an owner that went away ends within milliseconds; a frozen one's within the server's timeout.
const busyPatienceMs = 500;
const busyPollMs = 20;

// Between attempts at a slot that can't be read from, doubled from the first to the second. The table serves meanwhile.
const [firstRetryMs, longestRetryMs] = [250, 30_000];
// A stream that lasted so long was no false start.
const soundStreamMs = 30_000;

// One a second; of long waits only the oldest and the latest matter.
const startMarkEveryMs = 1_000;
const mostStartMarks = 16;

/**
 * Reads one lane of one outbox from a replication slot, and from the table whenever the slot can't be read from. The
 * cursor says both how far the log was read and, lagging behind, a snapshot of the table of which all was read; so the way
 * to the table is always open, and repeats half a second of events at most, which the inbox drops.
 *
 * From the log to the table: the table is read on from the cursor's snapshot. From the table to the log: take a place in
 * the log, then a snapshot; once the table is read up to a later snapshot in which all that was in progress in that one
 * has ended, everything that is not in the table's part lies behind the place, and the log is read from there.
 */
export class WalReader implements LogReader {
  readonly #options: WalReaderOptions;
  readonly #wanted: Wanted;
  #stream: { readonly wal: WalStream; readonly origin: string; readonly since: number } | undefined;
  #isClosed = false;
  /** Ends a wait under way. */
  #wake: (() => void) | undefined;

  #mark: LagMark | undefined;
  #isMarking = false;
  #markedAt = 0;
  #isMarkWanted = false;

  /** The way back to the log, while the table is read. */
  #way: Way | undefined;
  #retryAt = 0;
  #failures = 0;
  /** The latest window that was opened in the table, and the marks that had been taken before. */
  #window: { readonly snap: string; readonly marks: readonly StartMark[] } | undefined;

  constructor(options: WalReaderOptions) {
    this.#options = options;
    this.#wanted = wantedBy(options);
  }

  async read(cursor: OutboxCursor, limit: number): Promise<Chunk<OutboxCursor>> {
    const { wal, ...table } = cursor;
    const stream = wal && (await this.#streamBehind(wal));
    return stream ? this.#readStream(stream.wal, { ...table, wal }, limit) : await this.#readTable(table, limit);
  }

  async wait(signal: AbortSignal): Promise<void> {
    const stream = this.#stream?.wal;
    if (!stream) return await this.#options.ear.wait(signal);
    if (this.#hasNews(stream)) return;
    const untilMarkMs = Math.max(0, this.#markedAt + markEveryMs - performance.now());
    const woken = new AbortController();
    const wake = (): void => {
      // Called for every row that comes: without a reason of its own each would cost an error with a stack, which took two
      // thirds of the time of reading a backlog.
      this.#wake = undefined;
      woken.abort("woken");
    };
    this.#wake = wake;
    signal.addEventListener("abort", wake);
    if (!signal.aborted && (await this.#options.bell.wait(untilMarkMs, woken.signal))) this.#isMarkWanted = true;
    signal.removeEventListener("abort", wake);
    this.#wake = undefined;
  }

  /** The effects of everything up to the cursor are committed. */
  settled({ wal }: OutboxCursor): void {
    if (wal) this.#stream?.wal.settled(wal.lsn);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#stream?.wal.close();
    this.#stream = undefined;
    this.#leaveWay();
  }

  /** The stream that gives what comes behind `position`; undefined when there is none to be had and the table must serve. */
  async #streamBehind(position: WalPosition) {
    if (this.#stream && this.#stream.wal.ended === undefined) return this.#stream;
    const brokenBy = this.#dropStream();
    try {
      return await this.#resume(position);
    } catch (error) {
      this.#troubled(error);
      this.#tellServedBy("snapshot", brokenBy?.message ?? (error as Error).message);
      return undefined;
    }
  }

  #dropStream(): Error | undefined {
    const { wal, since } = this.#stream ?? {};
    if (since !== undefined && performance.now() - since > soundStreamMs) this.#failures = 0;
    this.#stream = undefined;
    this.#mark = undefined;
    return wal?.ended;
  }

  /** Reads on from the slot where the cursor is, provided that it still has all of it. */
  async #resume({ lsn, origin }: WalPosition) {
    const deadline = performance.now() + busyPatienceMs;
    for (;;) {
      const door = await openSlotDoor(this.#options.database, this.#options.feed);
      try {
        await requireSlot(door, lsn, origin);
        return await this.#startStream(door, lsn);
      } catch (error) {
        door.connection.close();
        const isBusy = error instanceof SlotError && error.trouble === "busy";
        if (!isBusy || performance.now() > deadline || this.#isClosed) throw error;
        await new Promise((resolve) => setTimeout(resolve, busyPollMs));
      }
    }
  }

  async #startStream(door: SlotDoor, from: bigint) {
    const wal = await WalStream.start(door.connection, {
      slot: door.slot,
      publication: door.publication,
      from,
      wanted: this.#wanted,
      onChange: () => this.#wake && this.#stream && this.#hasNews(this.#stream.wal) && this.#wake(),
    });
    if (this.#isClosed) wal.close();
    this.#stream = { wal, origin: door.origin, since: performance.now() };
    this.#tellServedBy("wal", "the slot has everything from the cursor on");
    return this.#stream;
  }

  #hasNews(stream: WalStream): boolean {
    return stream.hasRows || stream.ended !== undefined || this.#hasReachedMark(stream.reachable);
  }

  #hasReachedMark(position: bigint): boolean {
    return this.#mark !== undefined && position >= this.#mark.lsn;
  }

  #readStream(stream: WalStream, cursor: StreamCursor, limit: number): Chunk<OutboxCursor> {
    this.#markNowAndThen(stream);
    const { rows, position } = stream.take(limit);
    const { feed } = this.#options;
    let behind = cursor;
    const events = rows.map(({ row, end }) => {
      if (end !== undefined) behind = at(cursor, end);
      return new StreamedEvent(row, feed, behind);
    });
    const after = position > behind.wal.lsn ? at(cursor, position) : behind;
    const drained = !stream.hasRows;
    const mark = this.#mark;
    if (!mark || position < mark.lsn) return { events, after, drained };
    this.#mark = undefined;
    const passed = { snap: mark.snap, high: Math.max(mark.high, cursor.high), wal: after.wal };
    return { events, after: passed, watermark: mark.takenAt, drained };
  }

  /** Takes a new mark when the last has been passed and it is time, without keeping the reader waiting. */
  #markNowAndThen(stream: WalStream): void {
    const everyMs = this.#isMarkWanted ? markWhenRungMs : markEveryMs;
    if (this.#isMarking || this.#mark || performance.now() - this.#markedAt < everyMs) return;
    this.#isMarking = true;
    this.#isMarkWanted = false;
    const { database, windows, feed } = this.#options;
    takeLagMark(database, windows, feed.lane)
      .then((mark) => {
        if (stream !== this.#stream?.wal) return;
        this.#mark = mark;
        stream.hurry();
        if (this.#hasNews(stream)) this.#wake?.();
      })
      // The table serves without one; whatever is wrong with the database, the feed itself meets and tells it.
      .catch(() => undefined)
      .finally(() => {
        this.#isMarking = false;
        this.#markedAt = performance.now();
      });
  }

  async #readTable(cursor: OutboxCursor, limit: number): Promise<Chunk<OutboxCursor>> {
    this.#tendWay();
    const marks = this.#way?.marks.slice() ?? [];
    const chunk = await this.#options.snapshots.read(cursor, limit);
    this.#options.ear.found(chunk.events.length > 0);
    const { after } = chunk;
    if (cursor.window === undefined) this.#window = { snap: after.window?.nextSnap ?? after.snap, marks };
    // Only a window that was read to its end, and that was not cut at the cap, says that nothing is left behind it.
    if (after.window !== undefined || chunk.watermark === undefined || this.#window?.snap !== after.snap) return chunk;
    const start = this.#window.marks.findLast(({ snap }) => hasSettled(snap, after.snap));
    const way = this.#way;
    if (!start || !way?.door) return chunk;
    return await this.#switchToStream(chunk, way.door, start);
  }

  async #switchToStream(chunk: Chunk<OutboxCursor>, door: SlotDoor, { lsn }: StartMark): Promise<Chunk<OutboxCursor>> {
    this.#way = undefined;
    try {
      const { origin } = await this.#startStream(door, lsn);
      return { ...chunk, after: { ...chunk.after, wal: { lsn, origin } } };
    } catch (error) {
      this.#troubled(error);
      return chunk;
    }
  }

  /** Opens the way back to the log when it is time to try, and takes marks for the change. None of it holds up reading. */
  #tendWay(): void {
    const now = performance.now();
    if (!this.#way && now >= this.#retryAt && !this.#isClosed) {
      const way: Way = { marks: [], markedAt: 0 };
      this.#way = way;
      this.#openWay(way).catch((error) => this.#wayFailed(way, error));
    } else if (this.#way?.door && now - this.#way.markedAt >= startMarkEveryMs) {
      const way = this.#way;
      this.#markStart(way).catch((error) => this.#wayFailed(way, error));
    }
  }

  /** May take as long as transactions under way anywhere on the server, when the slot has to be made. */
  async #openWay(way: Way): Promise<void> {
    const door = await openSlotDoor(this.#options.database, this.#options.feed);
    way.opening = door;
    if (this.#way !== way) return door.connection.close();
    await ensureSlot(door);
    way.door = door;
    void door.connection.ended.then((cause) => this.#wayFailed(way, cause));
    await this.#markStart(way);
  }

  async #markStart(way: Way): Promise<void> {
    way.markedAt = performance.now();
    way.marks.push(await takeStartMark(this.#options.database));
    if (way.marks.length > mostStartMarks) way.marks.splice(1, 1);
  }

  #wayFailed(way: Way, error: unknown): void {
    if (this.#way !== way) return;
    this.#leaveWay();
    this.#troubled(error);
  }

  #leaveWay(): void {
    const way = this.#way;
    this.#way = undefined;
    way?.opening?.connection.close();
  }

  #troubled(error: unknown): void {
    if (this.#isClosed) return;
    const retryInMs = Math.min(longestRetryMs, firstRetryMs * 2 ** this.#failures++);
    this.#retryAt = performance.now() + retryInMs;
    const { database, feed, telemetry } = this.#options;
    const cause = error instanceof Error ? error : new Error(String(error));
    const trouble = cause instanceof SlotError ? cause.trouble : "unavailable";
    telemetry.slotTrouble({ ...feed, slotName: slotNameOf(database, feed), trouble, error: cause, retryInMs });
  }

  #tellServedBy(by: "snapshot" | "wal", why: string): void {
    this.#options.telemetry.servedBy({ ...this.#options.feed, by, why });
  }
}

interface Way {
  /** The connection, as soon as there is one. */
  opening?: SlotDoor;
  /** The same once the slot can be read from. */
  door?: SlotDoor;
  readonly marks: StartMark[];
  markedAt: number;
}

/** Read when somebody asks for it: a relay passes it on as it was written. */
class StreamedEvent implements ReadEvent<OutboxCursor> {
  readonly after: OutboxCursor;
  readonly #feed: FeedName;
  readonly #row: WrittenRow;
  #event: Delivered | undefined;

  constructor(row: WrittenRow, feed: FeedName, after: OutboxCursor) {
    this.#row = row;
    this.#feed = feed;
    this.after = after;
  }

  get event(): Delivered {
    this.#event ??= toDelivered(this.#row.read(), this.#feed);
    return this.#event;
  }

  get written(): WrittenRow {
    return this.#row;
  }
}

function wantedBy({ types, slots, feed: { slot } }: WalReaderOptions): Wanted {
  const known = types && new Set(types);
  return {
    ...(known && { type: (type) => known.has(type) }),
    ...(slots > 1 && { key: (key) => slotOf(key, slots) === slot }),
  };
}

type StreamCursor = OutboxCursor & { readonly wal: WalPosition };

const at = (cursor: StreamCursor, lsn: bigint): StreamCursor => ({ ...cursor, wal: { ...cursor.wal, lsn } });
