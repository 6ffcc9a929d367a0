import { renameSync, statSync } from "node:fs";
import { type OpenLogger, type RunningWork, startRecurringWork } from "@onsale/runtime";

// A few hours of a busy shop at the level `info`.
const longestLogBytes = 64 * 1024 * 1024;
const turnEveryMs = 60_000;

/** Makes room by renaming a long log; the one before it is lost. True when there was something to do. */
export function turnLog(path: string): boolean {
  const size = statSync(path, { throwIfNoEntry: false })?.size ?? 0;
  if (size < longestLogBytes) return false;
  renameSync(path, `${path}.1`);
  return true;
}

/** Looks after the log while it is written to. */
export const keepLogShort = (path: string, log: OpenLogger) => ({
  start: () =>
    startRecurringWork([
      {
        name: "shop.turn-log",
        everyMs: turnEveryMs,
        run: async () => {
          if (turnLog(path)) log.reopen();
        },
      },
    ]),
  stop: (running: RunningWork) => running.drain(),
});
