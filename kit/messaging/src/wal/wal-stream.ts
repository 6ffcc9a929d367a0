import type { Replication } from "@onsale/postgres";
import { type Layout, WrittenRow } from "../outbox/written-row.ts";
import { formatLsn, type Lsn } from "./lsn.ts";
import { type LogicalEvents, PgOutputDecoder, type Wanted } from "./pgoutput.ts";
import { RowMemory } from "./row-memory.ts";

/** A row of the outbox from the log. */
export interface StreamedRow {
  readonly row: WrittenRow;
  /** The place behind its transaction, when it is the last wanted row of it and that is known. */
  end: Lsn | undefined;
}

export interface StreamPart {
  readonly rows: readonly StreamedRow[];
  /** Up to here everything has been taken, of whole transactions only. */
  readonly position: Lsn;
}

// What waits to be taken: some batches ahead of the consumer, so that it never waits for the socket.
const mostRows = 10_000;
const mostBytes = 8 * 1024 * 1024;

/** How often the server hears from us, in milliseconds; it ends a stream that is silent for `walSenderTimeoutMs`. */
const statusEveryMs = 1_000;
/** The slot of an owner that is frozen is free again after this. */
export const walSenderTimeoutMs = 10_000;

// While it has nothing to send, a server asks for an answer after each piece of the log that others write, and waits for
// it: an answer held back this long, in milliseconds, makes that a hundred a second at most.
const answerAfterMs = 10;

const [xLogData, keepAlive, standbyStatus] = ["w", "k", "r"].map((letter) => letter.charCodeAt(0));
const xLogDataHeaderBytes = 25;
const microsecondsPerMs = 1_000n;
const postgresEpochMs = BigInt(Date.UTC(2000, 0, 1));

/**
 * Rows of committed transactions in the order of their commits, from one replication slot. The server sends a transaction
 * only after its commit is in the log (streaming of transactions in progress is never asked for), so its rows may be taken
 * while the rest of it is still coming: a transaction of a million rows needs no more memory than one of ten thousand.
 * The position moves only behind whole transactions, since all rows of one share a single place to resume from.
 */
export class WalStream implements LogicalEvents {
  readonly #connection: Replication;
  readonly #from: Lsn;
  readonly #onChange: () => void;
  readonly #decoder: PgOutputDecoder;
  readonly #statusTimer: NodeJS.Timeout;
  #answerTimer: NodeJS.Timeout | undefined;
  #rows: StreamedRow[] = [];
  readonly #memory = new RowMemory();
  /** The first that has not been taken. */
  #head = 0;
  #bytes = 0;
  #isPaused = false;
  /** Inside a transaction that the caller had settled before: its rows are left out. */
  #isSkipping = false;
  #isInTransaction = false;
  /** Everything before has been received. */
  #received: Lsn;
  #taken: Lsn;
  #settled: Lsn = 0n;
  #ended: Error | undefined;

  private constructor(
    connection: Replication,
    { from, wanted, onChange }: Omit<StreamOptions, "slot" | "publication">,
  ) {
    this.#connection = connection;
    this.#from = from;
    this.#received = from;
    this.#taken = from;
    this.#onChange = onChange;
    this.#decoder = new PgOutputDecoder(this, wanted);
    this.#statusTimer = setInterval(() => this.#sendStatus(), statusEveryMs);
    void connection.ended.then((cause) => this.#end(cause));
  }

  /** Begins to stream what committed at `from` or later. The stream owns the connection from now on. */
  static async start(connection: Replication, options: StreamOptions): Promise<WalStream> {
    const { slot, publication, from } = options;
    const stream = new WalStream(connection, options);
    try {
      await connection.stream(
        `START_REPLICATION SLOT ${slot} LOGICAL ${formatLsn(from)} (proto_version '1', publication_names '${publication}')`,
        (bytes, start, end) => stream.#receive(bytes, start, end),
      );
      return stream;
    } catch (error) {
      stream.close();
      throw error;
    }
  }

  /** Why it has ended; undefined while it runs. What was received before is void then. */
  get ended(): Error | undefined {
    return this.#ended;
  }

  get hasRows(): boolean {
    return this.#head < this.#rows.length;
  }

  /** Up to here everything could be taken now. */
  get reachable(): Lsn {
    return this.#received;
  }

  take(limit: number): StreamPart {
    // What had been received and was not taken is gone: the position must not move over it.
    if (this.#ended) return { rows: [], position: this.#taken };
    const rows = this.#rows.slice(this.#head, this.#head + limit);
    this.#head += rows.length;
    for (const { row, end } of rows) {
      this.#bytes -= row.size;
      if (end !== undefined) this.#taken = end;
    }
    if (!this.hasRows && !this.#isInTransaction) this.#taken = this.#received;
    // Cut off now and then rather than row by row, which would move all that is left each time.
    if (this.#head > mostRows || !this.hasRows) {
      this.#rows = this.#rows.slice(this.#head);
      this.#head = 0;
    }
    if (this.#isPaused && !this.#isFull(0.5)) {
      this.#isPaused = false;
      this.#connection.resume();
    }
    return { rows, position: this.#taken };
  }

  /** All effects up to here are committed: the server need not keep the log before it. */
  settled(position: Lsn): void {
    if (position > this.#settled) this.#settled = position;
  }

  /** Asks the server to say where it stands as soon as it has nothing more to send. */
  hurry(): void {
    if (this.#answerTimer) this.#sendStatus();
  }

  close(): void {
    if (this.#settled > 0n && !this.#ended) this.#sendStatus();
    this.#end(new Error("The stream was closed."));
    this.#connection.close();
  }

  #receive(bytes: Buffer, start: number, end: number): void {
    if (this.#ended) return;
    try {
      if (bytes[start] === xLogData) this.#decoder.receive(bytes, start + xLogDataHeaderBytes, end);
      else if (bytes[start] === keepAlive)
        this.#receiveKeepAlive(bytes.readBigUInt64BE(start + 1), bytes[start + 17] === 1);
    } catch (error) {
      this.#end(error as Error);
      this.#connection.close();
    }
  }

  #receiveKeepAlive(sent: Lsn, wantsAnswer: boolean): void {
    // In the middle of a transaction it says nothing of what is still to come of it.
    if (!this.#isInTransaction) this.#reach(sent);
    if (wantsAnswer) this.#answerTimer ??= setTimeout(() => this.#sendStatus(), answerAfterMs);
  }

  begin(at: Lsn): void {
    this.#isInTransaction = true;
    this.#isSkipping = at < this.#from;
  }

  row(bytes: Buffer, start: number, end: number, layout: Layout): void {
    if (this.#isSkipping) return;
    const kept = this.#memory.keep(bytes, start, end);
    const row = new WrittenRow(this.#memory.block, { start: kept, size: end - start }, layout);
    this.#rows.push({ row, end: undefined });
    this.#bytes += row.size;
    if (!this.#isPaused && this.#isFull(1)) {
      this.#isPaused = true;
      this.#connection.pause();
    }
    this.#onChange();
  }

  commit(end: Lsn): void {
    this.#isInTransaction = false;
    this.#reach(end);
  }

  #reach(position: Lsn): void {
    if (position <= this.#received) return;
    this.#received = position;
    const last = this.hasRows ? this.#rows.at(-1) : undefined;
    // Everything behind this row up to here is not wanted by the reader.
    if (last) last.end = position;
    this.#onChange();
  }

  #isFull(share: number): boolean {
    return this.#rows.length - this.#head >= mostRows * share || this.#bytes >= mostBytes * share;
  }

  #sendStatus(): void {
    clearTimeout(this.#answerTimer);
    this.#answerTimer = undefined;
    const status = Buffer.alloc(34);
    status[0] = standbyStatus ?? 0;
    // Received; settled, which lets the server forget; and once more, for who waits for effects.
    status.writeBigUInt64BE(this.#received, 1);
    status.writeBigUInt64BE(this.#settled, 9);
    status.writeBigUInt64BE(this.#settled, 17);
    status.writeBigInt64BE((BigInt(Date.now()) - postgresEpochMs) * microsecondsPerMs, 25);
    this.#connection.send(status);
  }

  #end(cause: Error): void {
    if (this.#ended) return;
    this.#ended = cause;
    clearInterval(this.#statusTimer);
    clearTimeout(this.#answerTimer);
    this.#rows = [];
    this.#head = 0;
    this.#onChange();
  }
}

export interface StreamOptions {
  readonly slot: string;
  readonly publication: string;
  readonly from: Lsn;
  readonly wanted: Wanted;
  /** Called when there is more to take, when the position moved, and when the stream has ended. */
  readonly onChange: () => void;
}
