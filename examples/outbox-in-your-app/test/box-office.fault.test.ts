import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { expect, test } from "vitest";
import { evening } from "./evening.ts";
import { withDatabase } from "./place.ts";

const readers = ["snapshot", "wal"] as const;

test.each(readers)(
  "%s reader: every payment is shown once, whichever program is killed whenever",
  async (reader) => {
    const place = await mkdtemp(join(tmpdir(), "box-office-"));
    try {
      const { paid, shown, dropped, readByWal, kills } = await withDatabase((databaseUrl) =>
        evening({
          folder: new URL("../", import.meta.url),
          databaseUrl,
          reader,
          chatFile: pathToFileURL(join(place, "chat.txt")),
          rounds: 5,
        }),
      );
      console.log(`${reader}: ${paid.length} payments, ${dropped} messages came twice;`, kills);
      expect([...shown].sort()).toEqual([...paid].sort());
      expect(dropped).toBeGreaterThan(0);
      expect(Object.keys(kills)).toHaveLength(5);
      expect(readByWal > 0).toBe(reader === "wal");
    } finally {
      await rm(place, { recursive: true, force: true });
    }
  },
  300_000,
);
