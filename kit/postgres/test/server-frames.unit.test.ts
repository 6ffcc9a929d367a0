import { expect, test } from "vitest";
import { ServerFrames } from "../src/server-frames.ts";

const letters = ["D", "Z", "C", "D", "D", "T"];
/** Longer than a header, shorter than it, and of nothing. */
const contents = ["a row of some length", "I", "SELECT 2", "", "x".repeat(300), "columns"];
const sent = Buffer.concat(letters.map((letter, index) => frameOf(letter, contents[index] ?? "")));

function frameOf(letter: string, content: string): Buffer {
  const header = Buffer.alloc(5);
  header.write(letter);
  header.writeUInt32BE(4 + content.length, 1);
  return Buffer.concat([header, Buffer.from(content)]);
}

/** What came of the stream, in the order in which it was told. */
function cut(...chunks: readonly Buffer[]): string[] {
  const told: string[] = [];
  const frames = new ServerFrames(
    {
      wants: (kind) => kind === "D".charCodeAt(0),
      take: (bytes, start, end) => void told.push(`taken ${bytes.toString("latin1", start, end)}`),
    },
    (passed) => told.push(...framesIn(passed)),
  );
  for (const chunk of chunks) frames.receive(chunk);
  return told;
}

/** The driver's view: it is only given whole frames. */
function framesIn(bytes: Buffer): string[] {
  const told: string[] = [];
  for (let at = 0; at < bytes.length; ) {
    const end = at + 1 + bytes.readUInt32BE(at + 1);
    expect(end).toBeLessThanOrEqual(bytes.length);
    told.push(`passed ${bytes.toString("latin1", at, at + 1)} ${bytes.toString("latin1", at + 5, end)}`);
    at = end;
  }
  return told;
}

const expected = letters.map((letter, index) =>
  letter === "D" ? `taken ${contents[index]}` : `passed ${letter} ${contents[index]}`,
);

test("frames that are wanted are taken and the others passed on, in their order", () => {
  expect(cut(sent)).toEqual(expected);
});

test("wherever the stream is cut in three, the same frames come of it", () => {
  let cuts = 0;
  for (let first = 0; first <= sent.length; first++) {
    for (let second = first; second <= sent.length; second += 7) {
      expect(cut(sent.subarray(0, first), sent.subarray(first, second), sent.subarray(second))).toEqual(expected);
      cuts++;
    }
  }
  expect(cuts).toBeGreaterThan(1_000);
});

test("a stream that comes byte by byte gives the same frames", () => {
  expect(cut(...[...sent].map((byte) => Buffer.from([byte])))).toEqual(expected);
});
