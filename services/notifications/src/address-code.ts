import { createHash, randomBytes, timingSafeEqual } from "node:crypto";

// Without letters and digits that are mistaken for each other. 40 bits, of which five guesses are free.
const letters = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ";
const codeLength = 8;

/** A code that proves that somebody reads an address. */
export const newCode = (): string =>
  // Thirty-two letters: five bits of each byte choose one, all as likely.
  Array.from(randomBytes(codeLength), (byte) => letters[byte % letters.length]).join("");

/** What is kept of a code: bound to the person, so that one person's code is nothing to another. */
export const hashOfCode = (personId: string, code: string): Buffer =>
  createHash("sha256").update(`${personId} ${code.toUpperCase()}`).digest();

export const isCode = (personId: string, code: string, hash: Buffer): boolean =>
  timingSafeEqual(hashOfCode(personId, code), hash);

/** What is kept of an address that was asked, where nobody may read addresses from. */
export const hashOfAddress = (email: string): Buffer => createHash("sha256").update(email.toLowerCase()).digest();
