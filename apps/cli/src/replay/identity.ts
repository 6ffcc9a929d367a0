import { createHash, createHmac } from "node:crypto";
import type { PaymentChoice } from "./payment.ts";
import type { StockShare } from "./plan.ts";

/**
 * What makes two replays the same one: the file's content, how much of what it sells the shop was given, and how it is paid.
 * The same command on the same data finds everything done; another share plays the same invoices once more.
 */
export interface Play {
  /** SHA-256 of the file's bytes, in hex. */
  readonly contentHash: string;
  readonly stockShare: StockShare;
  readonly payment: PaymentChoice;
}

export const playId = ({ contentHash, stockShare, payment }: Play): string =>
  `${contentHash.slice(0, 32)}-${stockShare.millionths}-${payment}`;

/** The key of one thing that the play does. Hashed, because an invoice's number may be any text and a key may not. */
export const keyOf = (
  play: Play,
  deed: "product" | "receipt" | "points" | "order" | "return",
  ...names: readonly string[]
): string => `replay-${deed}-${digest([playId(play), deed, ...names])}`;

export interface Credentials {
  readonly email: string;
  readonly password: string;
}

/**
 * The account of a customer of the file. The password is made from a secret of this shop, so that nobody who merely has
 * the file can log in as its customers.
 */
export function customerCredentials(
  { contentHash }: Pick<Play, "contentHash">,
  customer: string,
  secret: string,
): Credentials {
  const email = `customer-${digest([contentHash, customer]).slice(0, 24)}@replay.example.com`;
  return { email, password: createHmac("sha256", secret).update(email).digest("base64url") };
}

const digest = (parts: readonly string[]): string => createHash("sha256").update(JSON.stringify(parts)).digest("hex");
