/** Where an event came from, found in the outbox's column `headers` without making objects of it. */

/** The attributes that lie in the column, in the order in which they become headers. */
export const causeNames = ["correlationid", "causationid", "traceparent", "replayof"] as const;
const names = causeNames.map((name) => Buffer.from(name));

const [openBrace, closeBrace, quote, colon, comma, backslash, space] = [...'{}":,\\ '].map((sign) =>
  sign.charCodeAt(0),
);

/** Where the values of the attributes begin and end in a row's bytes; -1 for those that are not there. */
export class CausePlaces {
  readonly starts = new Int32Array(names.length);
  readonly ends = new Int32Array(names.length);

  /** How many there are. */
  get count(): number {
    let count = 0;
    for (const start of this.starts) if (start >= 0) count++;
    return count;
  }

  /**
   * Looks into the JSON between `from` and `to`. False where it is anything but an object of texts that stand for
   * themselves, as we write it: then it has to be read by whoever knows all of JSON.
   */
  find(bytes: Buffer, from: number, to: number): boolean {
    this.starts.fill(-1);
    let at = skipSpace(bytes, from);
    if (bytes[at] !== openBrace) return false;
    at = skipSpace(bytes, at + 1);
    if (bytes[at] === closeBrace) return true;
    while (at < to) {
      const nameEnd = endOfText(bytes, at, to);
      if (nameEnd < 0) return false;
      const colonAt = skipSpace(bytes, nameEnd + 1);
      if (bytes[colonAt] !== colon) return false;
      const valueAt = skipSpace(bytes, colonAt + 1);
      const valueEnd = endOfText(bytes, valueAt, to);
      if (valueEnd < 0) return false;
      this.#keep(bytes, { from: at + 1, to: nameEnd }, { from: valueAt + 1, to: valueEnd });
      const next = skipSpace(bytes, valueEnd + 1);
      if (bytes[next] === closeBrace) return true;
      if (bytes[next] !== comma) return false;
      at = skipSpace(bytes, next + 1);
    }
    return false;
  }

  #keep(bytes: Buffer, name: Span, value: Span): void {
    for (let index = 0; index < names.length; index++) {
      if (!isSame(bytes, name, names[index])) continue;
      this.starts[index] = value.from;
      this.ends[index] = value.to;
      return;
    }
  }
}

interface Span {
  readonly from: number;
  readonly to: number;
}

export function isSame(bytes: Buffer, { from, to }: Span, other: Buffer | undefined): boolean {
  if (!other || other.length !== to - from) return false;
  for (let index = 0; index < other.length; index++) if (bytes[from + index] !== other[index]) return false;
  return true;
}

/** Where the text that begins at `at` ends, without its quotation marks; -1 where there is none, or one with an escape. */
function endOfText(bytes: Buffer, at: number, to: number): number {
  if (bytes[at] !== quote) return -1;
  for (let place = at + 1; place < to; place++) {
    if (bytes[place] === quote) return place;
    if (bytes[place] === backslash) return -1;
  }
  return -1;
}

function skipSpace(bytes: Buffer, from: number): number {
  let at = from;
  while (bytes[at] === space) at++;
  return at;
}
