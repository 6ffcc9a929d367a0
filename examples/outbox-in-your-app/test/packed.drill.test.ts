import { mkdir, mkdtemp, realpath, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { requires, spawnNode } from "@onsale/testing";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { compile, filesIn, importEntries, installExample, layPrograms, packMessaging } from "./empty-folder.ts";
import { evening } from "./evening.ts";
import { withDatabase } from "./place.ts";

describe.skipIf(!requires("npm", "npm", "--version"))("taken as packages into an empty folder", () => {
  let place: string;
  let folder: string;
  let tarballs: ReadonlyMap<string, string>;
  let programs: readonly string[];

  beforeAll(async () => {
    place = await realpath(await mkdtemp(join(tmpdir(), "stranger-")));
    folder = join(place, "box-office");
    await mkdir(folder);
    tarballs = await packMessaging(join(place, "tarballs"));
    await installExample(folder, tarballs);
    programs = await layPrograms(folder, tarballs.keys());
  }, 180_000);
  afterAll(() => rm(place, { recursive: true, force: true }));

  test("the tarballs hold built code with its types, and nothing that only we need", async () => {
    expect([...tarballs.keys()]).toEqual(["@onsale/postgres", "@onsale/messaging"]);
    for (const tarball of tarballs.values()) {
      const files = await filesIn(tarball);
      expect(files).toEqual(expect.arrayContaining(["package.json", "README.md", "LICENSE", "dist/index.js"]));
      const built = files.filter((path) => /^dist\/.*\.js$/.test(path));
      const companions = built.flatMap((path) => [path, `${path}.map`, path.replace(/\.js$/, ".d.ts")]);
      const others = files.filter((path) => !companions.includes(path) && !/^migrations\/\d{4}-.*\.sql$/.test(path));
      expect(others.sort()).toEqual(["LICENSE", "README.md", "package.json"]);
      expect(files).toEqual(expect.arrayContaining(companions));
    }
  });

  test("every entry of the packages can be imported", async () => {
    expect(await importEntries(folder, tarballs.keys())).toEqual([
      "@onsale/postgres",
      "@onsale/messaging",
      "@onsale/messaging/kafka",
      "@onsale/messaging/operations",
    ]);
  });

  test("the example and the READMEs' programs compile against the packed declarations, every one of them checked", async () => {
    expect(await compile(folder)).toBe("");
  }, 120_000);

  test("the READMEs' programs run as they stand there", async () => {
    expect(programs).toEqual(["postgres.ts", "quick-start.ts"]);
    await withDatabase(async (databaseUrl) => {
      const start = (file: string) => spawnNode(pathToFileURL(join(folder, file)), { args: [databaseUrl] });

      await using digits = await start("postgres.ts");
      await digits.line(/^digits \[ 4, 2 \]$/);
      expect(await digits.ended).toBe(0);

      await using quickStart = await start("quick-start.ts");
      await quickStart.line(/^thank you for .* told as /);
      quickStart.signal("SIGTERM");
      expect(await quickStart.ended).toBe(0);
    });
  }, 120_000);

  test.each(["snapshot", "wal"] as const)(
    "%s reader: every payment is shown once in the chat",
    async (reader) => {
      const { paid, shown, dropped, readByWal } = await withDatabase((databaseUrl) =>
        evening({
          folder: pathToFileURL(`${folder}/`),
          databaseUrl,
          reader,
          chatFile: pathToFileURL(join(place, `${reader}.txt`)),
          rounds: 5,
        }),
      );
      expect([...shown].sort()).toEqual([...paid].sort());
      expect(dropped).toBeGreaterThan(0);
      expect(readByWal > 0).toBe(reader === "wal");
    },
    300_000,
  );
});
