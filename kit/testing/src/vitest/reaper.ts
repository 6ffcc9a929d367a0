import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";

/**
 * Starts a small process that ends the servers of a throw-away folder and whatever else works there, and removes it when
 * this process dies, however it dies: it reads from a pipe that only we hold open. It also does so after three hours, so that no server is
 * ever forgotten.
 */
export function reapWhenWeDie(directory: string): { stop(): void } {
  const script = fileURLToPath(new URL("./reaper-process.ts", import.meta.url));
  const child = spawn(process.execPath, [script, directory], { detached: true, stdio: ["pipe", "ignore", "ignore"] });
  child.unref();
  child.stdin.on("error", () => undefined);
  return { stop: () => child.stdin.end("stop") };
}
