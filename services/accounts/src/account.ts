/** Two spellings of one address are one account: mail systems that tell them apart are rarer than people who mistype. */
export const normalizeEmail = (email: string): string => email.normalize("NFC").toLowerCase();
