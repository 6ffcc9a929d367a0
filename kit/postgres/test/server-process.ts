/** Run by tests as a process of its own: `server-process.ts DIRECTORY`. Starts the server, prints it, and stops it at SIGTERM. */

import { startEmbeddedPostgres } from "@onsale/postgres";

const beganAt = performance.now();
const server = await startEmbeddedPostgres({
  directory: process.argv[2] ?? "",
  onIncident: (what) => console.log(`incident: ${what}`),
});
const alive = setInterval(() => undefined, 60_000);
// Before it says that it is ready: whoever reads that may end it at once, and the postmaster would be left behind.
process.once("SIGTERM", async () => {
  await server.stop();
  clearInterval(alive);
  console.log("stopped");
});
const { url, port, pid } = server;
console.log(`ready: ${JSON.stringify({ url, port, pid, ms: Math.round(performance.now() - beganAt) })}`);
