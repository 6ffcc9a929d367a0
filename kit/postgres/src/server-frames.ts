/** What a server sends, frame by frame, for those who read some kinds of it past the driver. */

import type pg from "pg";

/** A letter and a length, which counts itself. */
const headerBytes = 5;
const lengthAt = 1;

/** The content of a frame lies in `bytes` from `start` to `end`, in memory that nobody changes any more. */
export interface FrameReader {
  /** Told the letter of every frame: whether it is to be taken, or is the driver's. */
  wants(kind: number): boolean;
  /** A frame that was wanted; the driver has had everything before it. */
  take(bytes: Buffer, start: number, end: number): void;
}

/**
 * From now on gives the frames that are wanted to `reader`, and the others to the driver as before. The driver makes texts
 * and objects of each part of a frame, and copies all that it has whenever a frame comes in two pieces: of a stream of rows
 * that took longer than all that was done with them.
 *
 * To be called when the server has answered everything that it was asked.
 */
export function readFrames({ stream }: pg.Connection, reader: FrameReader): void {
  const drivers = stream.listeners("data") as ((chunk: Buffer) => void)[];
  const frames = new ServerFrames(reader, (chunk) => {
    for (const listener of drivers) listener(chunk);
  });
  stream.removeAllListeners("data");
  stream.on("data", (chunk: Buffer) => frames.receive(chunk));
}

/** Cuts what comes on a socket into frames. */
export class ServerFrames {
  readonly #reader: FrameReader;
  readonly #passOn: (frames: Buffer) => void;
  /** A frame of which only so many bytes have come; as long as it will be, or as its header as long as that has not come. */
  #part: Buffer | undefined;
  #come = 0;

  constructor(reader: FrameReader, passOn: (frames: Buffer) => void) {
    this.#reader = reader;
    this.#passOn = passOn;
  }

  receive(chunk: Buffer): void {
    const rest = this.#part ? this.#complete(this.#part, chunk) : 0;
    const end = this.#readWhole(chunk, rest);
    if (end < chunk.length) this.#begin(chunk.subarray(end));
  }

  /** Reads all frames that end in `bytes`; gives where the first begins that does not. What is passed on is so in one piece. */
  #readWhole(bytes: Buffer, start: number): number {
    let passFrom = start;
    let at = start;
    while (at + headerBytes <= bytes.length) {
      const end = at + lengthAt + bytes.readUInt32BE(at + lengthAt);
      if (end > bytes.length) break;
      if (this.#reader.wants(bytes[at] ?? 0)) {
        if (passFrom < at) this.#passOn(bytes.subarray(passFrom, at));
        passFrom = end;
        this.#reader.take(bytes, at + headerBytes, end);
      }
      at = end;
    }
    if (passFrom < at) this.#passOn(bytes.subarray(passFrom, at));
    return at;
  }

  #begin(rest: Buffer): void {
    this.#part = withRoom(rest);
    this.#come = rest.length;
  }

  /** Gives how much of the chunk belongs to the frame that had begun before it. */
  #complete(part: Buffer, chunk: Buffer): number {
    let taken = this.#fill(part, chunk, 0);
    if (this.#come < part.length) return taken;
    const whole = withRoom(part);
    taken = this.#fill(whole, chunk, taken);
    if (this.#come < whole.length) {
      this.#part = whole;
      return taken;
    }
    this.#part = undefined;
    this.#readWhole(whole, 0);
    return taken;
  }

  #fill(part: Buffer, chunk: Buffer, from: number): number {
    const copied = chunk.copy(part, this.#come, from, from + part.length - this.#come);
    this.#come += copied;
    return from + copied;
  }
}

/** The beginning of a frame in memory for the whole of it, as far as its length is known. */
function withRoom(beginning: Buffer): Buffer {
  const isLong = beginning.length >= headerBytes;
  const whole = Buffer.allocUnsafe(isLong ? lengthAt + beginning.readUInt32BE(lengthAt) : headerBytes);
  beginning.copy(whole);
  return whole;
}
