import { chmod, mkdir, mkdtemp, readFile, readlink, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { present, spawnNode } from "@onsale/testing";
import { afterEach, beforeEach, expect, test } from "vitest";
import { linkLibraries } from "../src/embedded/binaries.ts";

let home: string;
let root: string;
let elsewhere: string;
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), "onsale-links-"));
  root = join(home, "package");
  elsewhere = join(home, "elsewhere");
  await mkdir(join(root, "native/lib"), { recursive: true });
  await writeFile(join(root, "native/lib/libpq.so.5.18"), "a library");
  const links = [{ source: "native/lib/libpq.so.5.18", target: "native/lib/libpq.so.5" }];
  await writeFile(join(root, "native/pg-symlinks.json"), JSON.stringify(links));
});
afterEach(async () => {
  await chmod(join(root, "native/lib"), 0o755);
  await rm(home, { recursive: true, force: true });
});

test("the links are made, and made again after a part of them is lost", async () => {
  expect(await linkLibraries(root, elsewhere)).toEqual([]);
  expect(await readFile(join(root, "native/lib/libpq.so.5"), "utf8")).toBe("a library");
  await rm(join(root, "native/lib/libpq.so.5"));
  await linkLibraries(root, elsewhere);
  expect(await readlink(join(root, "native/lib/libpq.so.5"))).toBe("libpq.so.5.18");
});

test("several processes may make them at once, and an old link is replaced", async () => {
  await symlink("/gone", join(root, "native/lib/libpq.so.5"));
  await Promise.all(Array.from({ length: 20 }, () => linkLibraries(root, elsewhere)));
  expect(await readFile(join(root, "native/lib/libpq.so.5"), "utf8")).toBe("a library");
});

// The superuser may write everywhere; in a user namespace he is an ordinary owner.
const ordinary = process.getuid?.() === 0 ? ["unshare", "--user", "--map-user=1", "--map-group=1", "--"] : [];
const canBeOrdinary = present("an ordinary user's account", ordinary.length === 0 || process.platform === "linux");

test.skipIf(!canBeOrdinary)("in an installation that can't be written to they are made elsewhere", async () => {
  await chmod(join(root, "native/lib"), 0o555);
  const script = new URL("./links-process.ts", import.meta.url);
  await using node = await spawnNode(script, { args: [root, elsewhere], wrapper: ordinary });
  expect(await node.line(/^prefix: /)).toBe(`prefix: ["/usr/bin/env","LD_LIBRARY_PATH=${elsewhere}"]`);
  expect(await readFile(join(elsewhere, "libpq.so.5"), "utf8")).toBe("a library");
});
