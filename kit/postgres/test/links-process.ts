/** Run by tests as a process of its own: `links-process.ts PACKAGE ELSEWHERE`. Prints what must stand before a command line. */

import { linkLibraries } from "../src/embedded/binaries.ts";

const [, , root = "", elsewhere = ""] = process.argv;
console.log(`prefix: ${JSON.stringify(await linkLibraries(root, elsewhere))}`);
