import { hash, verify } from "@node-rs/argon2";
import { timedHash } from "./telemetry.ts";

/** A hash is refused at once when this many are already waited for. */
export const busy = "busy";

// OWASP's first choice for argon2id: 19 MiB, two passes, one lane; some 25 ms of one core.
const cost = { memoryCost: 19 * 1024, timeCost: 2, parallelism: 1 } as const;

// Two at once: more would only share the cores that orders need, and each takes 19 MiB.
const maximumAtOnce = 2;
// The last of forty waits half a second on idle cores, and on cores that a crowd keeps busy still less than a request's
// deadline: whoever is beyond is told at once when to come back, instead of waiting for an answer that comes too late.
const maximumWaiting = 40;

// Compared with when nobody has the address, so that the answer takes as long as for somebody who has. It is the hash of
// a random text that nobody kept, made at the cost above.
const nobodysHash = "$argon2id$v=19$m=19456,t=2,p=1$r9bL1mPRLPY+ixcGD7tsXA$Q5cB4n7irxCYSMs86aHf5Hk6WzkEiQe56f5n80P3G2E";

/** Work that takes a core for long, a few at once, the rest waiting in line, and nobody beyond the end of the line. */
export function createQueue(limits: { atOnce: number; waiting: number }) {
  const line: (() => void)[] = [];
  let running = 0;

  return async function run<Result>(work: () => Promise<Result>): Promise<Result | typeof busy> {
    if (running >= limits.atOnce) {
      if (line.length >= limits.waiting) return busy;
      // Whoever ends hands its place over, so the count stays.
      await new Promise<void>((resolve) => line.push(resolve));
    } else {
      running++;
    }
    try {
      return await work();
    } finally {
      const next = line.shift();
      if (next) next();
      else running--;
    }
  };
}

/** The one line of this process in which passwords are hashed and compared. */
export const inLine = createQueue({ atOnce: maximumAtOnce, waiting: maximumWaiting });

/** What to store of a password. */
export const hashPassword = (password: string): Promise<string | typeof busy> =>
  inLine(() => timedHash(() => hash(password, cost)));

/**
 * Whether the password is that of the stored hash; with no hash it never is, after the same work. Only within the line.
 */
export async function verifyPassword(storedHash: string | undefined, password: string): Promise<boolean> {
  const fits = await timedHash(() => verify(storedHash ?? nobodysHash, password));
  return fits && storedHash !== undefined;
}
