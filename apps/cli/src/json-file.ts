import { renameSync, writeFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import type { Static, TSchema } from "typebox";
import { Value } from "typebox/value";

/** The file's content; undefined where there is none, or where it is not what we write (a disk that was full, a hand that edited). */
export async function readJsonFile<Schema extends TSchema>(
  path: string,
  schema: Schema,
): Promise<Static<Schema> | undefined> {
  try {
    const content: unknown = JSON.parse(await readFile(path, "utf8"));
    return Value.Check(schema, content) ? (content as Static<Schema>) : undefined;
  } catch (error) {
    if (error instanceof SyntaxError || (error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

/** Writes for the owner only, in one step: a reader sees the old content or the new. Synchronous: a child's id must be on disk before it works. */
export function writeJsonFile(path: string, content: object): void {
  writeFileSync(`${path}.new`, `${JSON.stringify(content, null, 2)}\n`, { mode: 0o600 });
  renameSync(`${path}.new`, path);
}
