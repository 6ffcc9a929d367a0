/** Writes docs/generated anew: `node tools/generate/src/main.ts`. */

import { mkdir, readdir, rm, writeFile } from "node:fs/promises";
import { documents, folder } from "./documents.ts";

const root = new URL("../../../", import.meta.url);
const target = new URL(`${folder}/`, root);

await mkdir(target, { recursive: true });
const written = await documents(root);
for (const name of await readdir(target)) if (!written.has(name)) await rm(new URL(name, target));
for (const [name, text] of written) await writeFile(new URL(name, target), text);
console.log(`${written.size} documents written to ${folder}`);
