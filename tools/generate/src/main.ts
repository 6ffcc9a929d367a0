/** Freezes what is new in the contracts and writes docs/generated anew: `node tools/generate/src/main.ts`. */

import { mkdir, readdir, rm, writeFile } from "node:fs/promises";
import { documents, folder } from "./documents.ts";
import { frozenAnew, frozenFolder, writeFrozen } from "./frozen.ts";

const root = new URL("../../../", import.meta.url);
const target = new URL(`${folder}/`, root);

const frozen = await frozenAnew(root);
await writeFrozen(root, frozen);
await mkdir(target, { recursive: true });
const written = await documents(root);
for (const name of await readdir(target)) if (!written.has(name)) await rm(new URL(name, target));
for (const [name, text] of written) await writeFile(new URL(name, target), text);
console.log(`${written.size} documents written to ${folder}, ${frozen.files.size} types frozen in ${frozenFolder}`);
