/**
 * Texts as records hold them. Most headers of a record say what the same header of the record before said: to compare bytes
 * with a text that is there takes a fraction of making another one, and of sweeping it up.
 */

/** A text; bytes where they are no UTF-8. */
export type Content = string | Buffer;

const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** What a lenient reader writes where bytes are no UTF-8; a text may also hold it for itself. */
const replacement = "\ufffd";

/** What lies between two places; the very `likely` or `alsoLikely` where it says the same. */
export function contentAt(
  bytes: Buffer,
  start: number,
  end: number,
  likely: Content | null = null,
  alsoLikely: Content | null = null,
): Content {
  if (typeof likely === "string" && isAsciiOf(likely, bytes, start, end)) return likely;
  if (typeof alsoLikely === "string" && isAsciiOf(alsoLikely, bytes, start, end)) return alsoLikely;
  const text = bytes.toString("utf8", start, end);
  return text.includes(replacement) ? strictly(bytes.subarray(start, end)) : text;
}

/** Whether the bytes are this text, in the characters that have one byte each; false for any other. */
function isAsciiOf(text: string, bytes: Buffer, start: number, end: number): boolean {
  if (text.length !== end - start) return false;
  for (let index = 0; index < text.length; index++) {
    const byte = bytes[start + index] ?? 0xff;
    if (byte > 0x7f || byte !== text.charCodeAt(index)) return false;
  }
  return true;
}

function strictly(bytes: Buffer): Content {
  try {
    return strict.decode(bytes);
  } catch {
    return bytes;
  }
}
