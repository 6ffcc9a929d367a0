import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { testDatabase } from "@onsale/testing";
import { expect, test } from "vitest";
import { evening } from "./evening.ts";

test("every payment is shown once in the chat, whichever program is killed whenever", async () => {
  await using database = await testDatabase({ schema: "empty", sets: [] });
  const place = await mkdtemp(join(tmpdir(), "box-office-"));
  try {
    const { paid, shown, dropped, kills } = await evening({
      folder: new URL("../", import.meta.url),
      databaseUrl: database.adminUrl,
      settings: [],
      chatFile: pathToFileURL(join(place, "chat.txt")),
      rounds: 15,
    });
    console.log(`${paid.length} payments, ${dropped} messages came twice;`, kills);
    expect([...shown].sort()).toEqual([...paid].sort());
    expect(dropped).toBeGreaterThan(0);
    expect(Object.keys(kills)).toHaveLength(5);
  } finally {
    await rm(place, { recursive: true, force: true });
  }
}, 180_000);
