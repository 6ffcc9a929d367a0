/** Run by `child.ts` as a process of its own: `warden-process.ts PID DIRECTORY`. */

import { text } from "node:stream/consumers";
import { endProcess } from "./processes.ts";

// The same bound as for a stop in good order; imported it would load the starter too.
const stopMs = 15_000;

const [, , pid = "", directory = ""] = process.argv;
const word = await text(process.stdin).catch(() => "");
if (word !== "dismissed") await endProcess(Number(pid), directory, stopMs);
