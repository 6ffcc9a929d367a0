import { createReadStream } from "node:fs";
import { type FileHandle, open, truncate } from "node:fs/promises";

/** The journal has a line that can't be read although others follow it: the file was damaged, not merely cut off. */
export class JournalDamagedError extends Error {
  override readonly name = "JournalDamagedError";
}

// A flush costs the processor about as much as a call. On a fast disk one would start for every call or two, so each
// group waits this long for company; it is small beside the latency that a card network has.
const gatherMs = 1;

/**
 * An append-only file of JSON lines. Appends that arrive while an earlier group is being written form the next group, so
 * that one flush to disk serves hundreds of callers.
 */
export class Journal {
  readonly #file: FileHandle;
  readonly #onFailure: (error: unknown) => void;
  #lines: string[] = [];
  /** Resolves when the lines collected now are on disk. */
  #collecting: Group | undefined;
  /** The group on its way to the disk. */
  #writing: Promise<void> | undefined;

  /** `onFailure` hears of a write or flush that failed: what the disk holds is then unknown, and the process should end. */
  constructor(file: FileHandle, onFailure: (error: unknown) => void) {
    this.#file = file;
    this.#onFailure = onFailure;
  }

  /** Adds a record. Resolves when it is on disk. */
  append(record: object): Promise<void> {
    this.#lines.push(JSON.stringify(record));
    if (this.#collecting === undefined) {
      this.#collecting = newGroup();
      setTimeout(() => this.#startWriting(), gatherMs);
    }
    return this.#collecting.done;
  }

  /** Resolves when everything that was appended before is on disk; undefined when it already is. */
  settled(): Promise<void> | undefined {
    return this.#collecting?.done ?? this.#writing;
  }

  async close(): Promise<void> {
    while (this.settled() !== undefined) await this.settled();
    await this.#file.close();
  }

  #startWriting(): void {
    const group = this.#collecting;
    if (group === undefined || this.#writing !== undefined) return;
    const bytes = Buffer.from(`${this.#lines.join("\n")}\n`);
    this.#lines = [];
    this.#collecting = undefined;
    this.#writing = group.done;
    this.#write(bytes).then(
      () => {
        this.#writing = undefined;
        // The next group starts first: the disk works while this group's callers answer.
        this.#startWriting();
        group.resolve();
      },
      // Nobody is answered: after a failed flush nothing is known about what is on disk.
      this.#onFailure,
    );
  }

  async #write(bytes: Buffer): Promise<void> {
    let written = 0;
    while (written < bytes.length) {
      written += (await this.#file.write(bytes, written)).bytesWritten;
    }
    await this.#file.datasync();
  }
}

interface Group {
  readonly done: Promise<void>;
  readonly resolve: () => void;
}

function newGroup(): Group {
  const { promise, resolve } = Promise.withResolvers<void>();
  return { done: promise, resolve };
}

export interface JournalOptions {
  readonly path: string;
  /** Called for each record of the file, in order, before `openJournal` returns. */
  readonly replay: (record: unknown) => void;
  readonly onFailure: (error: unknown) => void;
}

/**
 * Reads the journal and opens it for more. A last line that a crash cut short is removed: it was never flushed, so
 * nobody was told of it. Throws `JournalDamagedError` when a line before the last can't be read.
 */
export async function openJournal({ path, replay, onFailure }: JournalOptions): Promise<Journal> {
  const file = await open(path, "a", 0o600);
  try {
    const end = await replayLines(path, replay);
    await truncate(path, end);
    // The removal must not be undone by a crash that comes after the next append.
    await file.datasync();
  } catch (error) {
    await file.close();
    throw error;
  }
  return new Journal(file, onFailure);
}

/** Replays every whole line and returns where the last of them ends, in bytes. */
async function replayLines(path: string, replay: (record: unknown) => void): Promise<number> {
  let end = 0;
  let broken: number | undefined;
  let rest: Buffer = Buffer.alloc(0);
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) {
    const bytes: Buffer = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    let start = 0;
    for (let newline = bytes.indexOf(10); newline !== -1; newline = bytes.indexOf(10, start)) {
      const record = parsed(bytes.toString("utf8", start, newline));
      if (broken !== undefined) throw new JournalDamagedError(`${path} is damaged at byte ${broken}.`);
      if (record === undefined) broken = end;
      else replay(record);
      if (broken === undefined) end += newline + 1 - start;
      start = newline + 1;
    }
    rest = bytes.subarray(start);
  }
  return end;
}

function parsed(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}
