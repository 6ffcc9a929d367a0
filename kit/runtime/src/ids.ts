import { randomFillSync } from "node:crypto";
import { v7 } from "uuid";

/** Random bytes are fetched for so many ids at once: fetched for one they cost more than everything else about an id. */
const idsAtOnce = 256;
const bytesOfId = 16;

const pool = Buffer.alloc(idsAtOnce * bytesOfId);
let taken = pool.length;

function nextRandom(): Buffer {
  if (taken === pool.length) {
    randomFillSync(pool);
    taken = 0;
  }
  taken += bytesOfId;
  return pool.subarray(taken - bytesOfId, taken);
}

let millisecond = 0;
let sequence = 0;
const largestSequence = 2 ** 32 - 1;

/** Counts up within a millisecond, also in one that the clock was set back behind. */
function next(): string {
  const random = nextRandom();
  const now = Date.now();
  if (now > millisecond || sequence === largestSequence) {
    millisecond = Math.max(now, millisecond + 1);
    // From the lower half of the range, so that there is room to count.
    sequence = random.readUInt32BE(6) >>> 1;
  } else {
    sequence++;
  }
  return v7({ random, msecs: millisecond, seq: sequence });
}

/**
 * UUIDv7: its first 48 bits are the millisecond, so rows inserted together lie together in the index. Within one process
 * each is greater than the one before.
 */
export const ids: { uuid(): string } = { uuid: next };
