import { readFileSync } from "node:fs";
import { isAbsolute, join, relative } from "node:path";
import { fileURLToPath } from "node:url";

/** The folder that the program lies in. */
export const checkout = fileURLToPath(new URL("../../../", import.meta.url)).replace(/(.)\/$/, "$1");

export const version = (): string =>
  (JSON.parse(readFileSync(join(checkout, "package.json"), "utf8")) as { version: string }).version;

/** How the command is called from where the person is: `./onsale`, or a path, quoted where a shell needs it. */
export function commandName(): string {
  const path = relative(process.cwd(), join(checkout, "onsale"));
  if (path.startsWith("..") || isAbsolute(path)) return quoted(join(checkout, "onsale"));
  return quoted(`./${path}`);
}

/** A word as a POSIX shell reads it back. */
export const quoted = (word: string): string =>
  /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
