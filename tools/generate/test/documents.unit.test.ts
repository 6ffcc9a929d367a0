import { readdir, readFile } from "node:fs/promises";
import { expect, test, vi } from "vitest";

// Errors are known to a whole process, which has run other tests, with errors of their own.
vi.resetModules();
const { command, documents, folder } = await import("../src/documents.ts");
const { services } = await import("../src/events.ts");

const root = new URL("../../../", import.meta.url);

test(`${folder} is what \`${command}\` writes`, async () => {
  const written = await documents(root);
  const names = await readdir(new URL(`${folder}/`, root));
  expect([...names].sort()).toEqual([...written.keys()].sort());
  for (const [name, text] of written) {
    expect(await readFile(new URL(`${folder}/${name}`, root), "utf8"), name).toBe(text);
  }
});

test("every service is in the documents, and every event says what it means and who hears it, if anybody", async () => {
  expect(Object.keys(services).sort()).toEqual((await readdir(new URL("services/", root))).sort());
  const page = (await documents(root)).get("events.md") ?? "";
  const rows = page.split("\n").filter((line) => /^\| `[a-z-]+\.[a-z-]+\.v\d+`/.test(line));
  expect(rows.length).toBeGreaterThan(20);
  for (const row of rows) expect(row).not.toMatch(/^\| `[^`]+` \| {2}\|/);
  expect(page).toMatch(/`order\.placed\.v1` .* `inventory\.reserve-stock`/);
});
