import { randomBytes } from "node:crypto";
import { readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";

/** The content of a secret file; made by `make` and stored for the owner only where there is none. */
export async function keptSecret(directory: string, name: string, make: () => string): Promise<string> {
  const path = join(directory, name);
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    const made = make();
    // Renamed into place: a process killed while it writes must not leave an empty secret.
    await writeFile(`${path}.new`, made, { mode: 0o600 });
    await rename(`${path}.new`, path);
    return made;
  }
}

/** A password that a person can type: twenty letters and digits, 100 bits, none of them mistaken for another. */
export function newPassword(): string {
  const letters = "abcdefghjkmnpqrstuvwxyz23456789A";
  return [...randomBytes(20)].map((byte) => letters[byte % letters.length]).join("");
}
