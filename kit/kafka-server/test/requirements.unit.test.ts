import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { spawnNode } from "@onsale/testing";
import { expect, onTestFinished, test } from "vitest";

test("a machine without Java is told so in one sentence", async () => {
  expect(await lacksWith({})).toMatch(/^lacks: Java is missing: .*17/);
});

test("an old Java is told by its number", async () => {
  const java = `#!/bin/sh\necho 'openjdk version "1.8.0_402"' >&2\n`;
  expect(await lacksWith({ java })).toBe("lacks: Java 8 is too old: Kafka needs 17 or later.");
});

test("without Maven the jars can't be fetched", async () => {
  const java = `#!/bin/sh\necho 'openjdk version "21.0.2" 2024-01-16' >&2\n`;
  expect(await lacksWith({ java })).toMatch(/^lacks: Maven is missing/);
  expect(await lacksWith({ java, mvn: "#!/bin/sh\n" })).toBe("lacks: nothing");
});

/** What is lacking where these programs, and no others, are on the path. */
async function lacksWith(programs: Readonly<Record<string, string>>): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "onsale-path-"));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  for (const [name, text] of Object.entries(programs)) await writeFile(join(folder, name), text, { mode: 0o755 });
  const script = new URL("./lacks-process.ts", import.meta.url);
  await using node = await spawnNode(script, { args: [join(folder, "jars")], env: { PATH: folder } });
  return await node.line(/^lacks: /);
}
