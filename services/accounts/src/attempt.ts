import { createHmac } from "node:crypto";

/** Who tries a password, and where. */
export interface Attempt {
  /** Normalised. Counted alike whether or not somebody has it. */
  readonly email: string;
  /** The network address that the request came from. */
  readonly address: string;
}

/** What wrong passwords are counted by. */
export type Counted = "place" | "account" | "placeAndAccount";

/** What else is counted: who asks for links, and who gets mail for it. */
export type Spent = "asking" | "mails";

/** So many tries at once, and one more each `everyMs`. */
export interface Allowance {
  readonly burst: number;
  readonly everyMs: number;
}

export const allowances: Readonly<Record<Counted | Spent, Allowance>> = {
  // Who has forgotten a password is through with their variants after ten; a program gets 960 a day.
  placeAndAccount: { burst: 10, everyMs: 90_000 },
  // A hundred, the bound of NIST SP 800-63B, each hour, wherever they are tried: a password that is not among an
  // attacker's first two thousand holds for a day.
  account: { burst: 100, everyMs: 36_000 },
  // A thousand people behind one address mistype together; a program that tries one password on everybody gets 8,700 a day.
  place: { burst: 100, everyMs: 10_000 },
  // As with passwords; asking costs the shop a row, and somebody perhaps a mail.
  asking: { burst: 30, everyMs: 30_000 },
  // Three tries to find the mail, then no more than six an hour, whoever asks.
  mails: { burst: 3, everyMs: 600_000 },
};

export const countedKinds: readonly Counted[] = ["place", "account", "placeAndAccount"];

/** What an attempt is counted under: keyed hashes, so that the table tells no addresses. */
export function keysOf(secret: string, { email, address }: Attempt): Readonly<Record<Counted | Spent, Buffer>> {
  const place = networkOf(address);
  const keyed = (...parts: string[]) => createHmac("sha256", secret).update(parts.join("\n")).digest();
  return {
    place: keyed("place", place),
    account: keyed("account", email),
    placeAndAccount: keyed("place and account", place, email),
    asking: keyed("asking", place),
    mails: keyed("mails", email),
  };
}

/** What counts as one place: an IPv4 address, or the /64 that one subscriber has of IPv6. */
export function networkOf(address: string): string {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1];
  if (mapped !== undefined) return mapped;
  if (!address.includes(":")) return address;
  const [head = "", tail] = address.toLowerCase().split("%", 1)[0]?.split("::") ?? [];
  const groups = head === "" ? [] : head.split(":");
  const after = tail === undefined || tail === "" ? [] : tail.split(":");
  const filled =
    tail === undefined ? groups : [...groups, ...Array(8 - groups.length - after.length).fill("0"), ...after];
  return `${filled
    .slice(0, 4)
    .map((group) => group.replace(/^0+(?=.)/, ""))
    .join(":")}::/64`;
}

/** What the database knows when a password is about to be compared. */
export interface Tries {
  /** Database time, RFC 3339. */
  readonly now: string;
  /** When all tries of a kind are free again; a kind that nobody failed at is absent. */
  readonly freeAt: Readonly<Partial<Record<Counted, string>>>;
  /** The person has logged in from there before. */
  readonly isFamiliar: boolean;
}

/**
 * Seconds until the next try is free; 0 when one is free now. What strangers try elsewhere does not count against somebody
 * who comes from where they have logged in before, so nobody can be locked out of their own place.
 */
export function secondsUntilFree({ now, freeAt, isFamiliar }: Tries): number {
  const waits = countedKinds
    .filter((kind) => !(isFamiliar && kind === "account"))
    .map((kind) => waitMs(allowances[kind], freeAt[kind], now));
  return Math.ceil(Math.max(0, ...waits) / 1_000);
}

const waitMs = ({ burst, everyMs }: Allowance, freeAt: string | undefined, now: string): number =>
  freeAt === undefined ? 0 : Date.parse(freeAt) - (burst - 1) * everyMs - Date.parse(now);
