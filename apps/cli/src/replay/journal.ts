import { closeSync, fsyncSync, openSync } from "node:fs";
import { type FileHandle, mkdir, open } from "node:fs/promises";
import { dirname } from "node:path";
import { crc32 } from "node:zlib";
import type { OrderStatus } from "../shop.ts";

/** What the shop says about an order. Amounts are in the currency's minor unit. */
export interface OrderEnd {
  /** Absent: it was turned away before there was an order. */
  readonly orderId?: string;
  readonly status: OrderStatus;
  readonly reason: string | null;
  /** By card, and given back to it. */
  readonly paidMinor: number;
  readonly refundedMinor: number;
  /** With points, and given back as points. */
  readonly paidPointsMinor: number;
  readonly refundedPointsMinor: number;
  /** The price of what came back: what is refunded once the returns are through. */
  readonly returnedMinor: number;
}

/** What a replay has to remember through a crash. */
export type JournalEntry =
  /** Whose journal this is: another play never writes into it. */
  | { readonly kind: "play"; readonly play: string; readonly file: string }
  /** Products, prices and stock of the play are in the shop. */
  | { readonly kind: "stocked" }
  /** Written before the guest's order is sent: only who holds this token can ask for the order again. */
  | { readonly kind: "guest"; readonly invoice: string; readonly accessToken: string }
  /** The shop answered 202. */
  | { readonly kind: "order"; readonly invoice: string; readonly idempotencyKey: string; readonly orderId: string }
  /** It was turned away: all that was wanted is sold. Whoever plays the file again is not let in later in its place. */
  | { readonly kind: "turned-away"; readonly invoice: string }
  /** How a guest's order ended: the guest's token ends after a day, and nobody can ask for the order then. */
  | ({ readonly kind: "end"; readonly invoice: string } & OrderEnd)
  /** The shop answered the return or cancellation: `refusal` is the code of its problem, absent when it accepted. */
  | { readonly kind: "return"; readonly idempotencyKey: string; readonly orderId: string; readonly refusal?: string };

/** A journal that says something else than was written, and not merely breaks off. */
export class DamagedJournalError extends Error {
  override readonly name = "DamagedJournalError";
}

/**
 * An append-only file of entries. `append` resolves when its entry is on the disk; entries that arrive while one write is
 * under way share the next one, so a crowd pays for few syncs. Each line carries its checksum: an end that a crash tore
 * off was never acknowledged to anybody, and is cut away when the file is opened.
 */
export class Journal {
  readonly entries: readonly JournalEntry[];
  readonly #file: FileHandle;
  #waiting: { line: string; resolve: () => void; reject: (error: unknown) => void }[] = [];
  #writing: Promise<void> | undefined;
  #failure: { error: unknown } | undefined;

  private constructor(file: FileHandle, entries: readonly JournalEntry[]) {
    this.#file = file;
    this.entries = entries;
  }

  /** Opens or begins the journal at `path`, readable by its owner alone: it holds guests' tokens. */
  static async open(path: string): Promise<Journal> {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    const file = await open(path, "a+", 0o600);
    try {
      const content = await file.readFile();
      const { entries, length } = readEntries(content, path);
      if (length < content.length) await file.truncate(length);
      await file.sync();
      syncFolder(dirname(path));
      return new Journal(file, entries);
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  append(entry: JournalEntry): Promise<void> {
    if (this.#failure) return Promise.reject(this.#failure.error);
    const json = JSON.stringify(entry);
    return new Promise((resolve, reject) => {
      this.#waiting.push({ line: `${checksum(json)} ${json}\n`, resolve, reject });
      this.#writing ??= this.#writeAll();
    });
  }

  async close(): Promise<void> {
    await this.#writing;
    await this.#file.close();
  }

  async #writeAll(): Promise<void> {
    // Entries of the same turn of the event loop still join the first write.
    await Promise.resolve();
    while (this.#waiting.length > 0) {
      const group = this.#waiting;
      this.#waiting = [];
      try {
        if (this.#failure) throw this.#failure.error;
        await this.#file.appendFile(group.map(({ line }) => line).join(""));
        await this.#file.datasync();
        for (const { resolve } of group) resolve();
      } catch (error) {
        // After a failed sync the kernel may have dropped the pages: nothing later can be trusted to reach the disk.
        this.#failure = { error };
        for (const { reject } of group) reject(error);
      }
    }
    this.#writing = undefined;
  }
}

/** The whole entries at the beginning of `content`, and how many bytes they take. */
function readEntries(content: Buffer, path: string): { entries: JournalEntry[]; length: number } {
  const entries: JournalEntry[] = [];
  let length = 0;
  let torn: number | undefined;
  for (let start = 0, number = 1; start < content.length; number++) {
    const newline = content.indexOf(0x0a, start);
    const entry = newline < 0 ? undefined : toEntry(content.toString("utf8", start, newline));
    if (entry === undefined) torn ??= number;
    else if (torn !== undefined)
      throw new DamagedJournalError(`${path} is damaged at line ${torn}: whole entries follow it.`);
    else {
      entries.push(entry);
      length = newline + 1;
    }
    start = newline < 0 ? content.length : newline + 1;
  }
  return { entries, length };
}

function toEntry(line: string): JournalEntry | undefined {
  const json = line.slice(9);
  return line.slice(0, 8) === checksum(json) ? (JSON.parse(json) as JournalEntry) : undefined;
}

const checksum = (json: string): string => crc32(json).toString(16).padStart(8, "0");

/** Makes the file's name in its folder as durable as its content. */
function syncFolder(path: string): void {
  const folder = openSync(path, "r");
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}
