/**
 * Packs packages, and those of ours that they need, as they are published:
 *
 *     node tools/pack/src/main.ts DIRECTORY @onsale/messaging
 *
 * Prints the path of each tarball.
 */

import { resolve } from "node:path";
import { packInto } from "./pack.ts";

const [directory, ...names] = process.argv.slice(2);
if (directory === undefined || names.length === 0) {
  console.error("usage: node tools/pack/src/main.ts DIRECTORY PACKAGE...");
  process.exit(2);
}
for (const tarball of await packInto(resolve(directory), names)) console.log(tarball);
