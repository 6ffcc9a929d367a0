/** The launcher in a checkout of straw: a Node that is real, and an npm that writes down how it was called. */

import { execFile, spawn } from "node:child_process";
import { existsSync, readFileSync, statSync, symlinkSync } from "node:fs";
import { chmod, copyFile, mkdir, mkdtemp, readFile, rename, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { waitFor } from "@onsale/testing";
import { afterEach, beforeEach, describe, expect, test } from "vitest";

const launcher = fileURLToPath(new URL("../../../onsale", import.meta.url));
const tools = [
  "sh",
  "uname",
  "cat",
  "cmp",
  "ln",
  "readlink",
  "rm",
  "rmdir",
  "mkdir",
  "mv",
  "dirname",
  "sleep",
  "env",
  "echo",
  "kill",
  "touch",
  "find",
  "wc",
  "tee",
];
const platform = { linux: "linux", darwin: "darwin" }[process.platform as "linux" | "darwin"];
const nodePackage = `node-${platform}-${process.arch}`;

let root: string;
let home: string;
let bin: string;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "onsale launcher "));
  home = join(root, "a check out");
  bin = join(root, "bin");
  await mkdir(join(home, "apps/cli/src"), { recursive: true });
  await mkdir(bin);
  await copyFile(launcher, join(home, "onsale"));
  await writeFile(join(home, "package-lock.json"), "{}\n");
  // What the command line gets: its arguments, its process and its Node.
  await writeFile(
    join(home, "apps/cli/src/main.ts"),
    "process.stdout.write(JSON.stringify({ args: process.argv.slice(2), pid: process.pid, node: process.argv0, flags: process.execArgv }));",
  );
  for (const tool of tools) symlinkSync(await which(tool), join(bin, tool));
});
afterEach(() => rm(root, { recursive: true, force: true }));

async function which(tool: string): Promise<string> {
  const { stdout } = await promisify(execFile)("sh", ["-c", 'command -v -- "$1" || true', "sh", tool], {
    env: { PATH: "/usr/bin:/bin" },
  });
  const path = stdout.trim();
  return path.startsWith("/") ? path : `/bin/${tool}`;
}

async function script(name: string, text: string): Promise<void> {
  await writeFile(join(bin, name), `#!/bin/sh\n${text}\n`);
  await chmod(join(bin, name), 0o755);
}

const withNode = () => symlink(process.execPath, join(bin, "node"));
const withOldNode = () => script("node", "echo v20.20.2");

/** Writes its arguments to npm.log and makes what npm would make; `before` runs first. */
const withNpm = (before = "") =>
  script(
    "npm",
    `echo "$*" >>"${root}/npm.log"
echo "words of npm"
${before}
case $1 in
  ci) rm -rf node_modules; mkdir node_modules ;;
  install)
    for last do case $last in node-*@*) name=\${last%@*}; mkdir -p "node_modules/$name/bin"; ln -s "${process.execPath}" "node_modules/$name/bin/node" ;; esac; done ;;
esac`,
  );

const npmCalls = (): string[] =>
  existsSync(join(root, "npm.log")) ? readFileSync(join(root, "npm.log"), "utf8").trimEnd().split("\n") : [];

interface Ran {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly pid: number | undefined;
}

async function run(args: readonly string[] = [], { command = join(home, "onsale"), cwd = root } = {}): Promise<Ran> {
  const child = spawn(command, args, { cwd, env: { PATH: bin } });
  let stdout = "";
  let stderr = "";
  child.stdout.on("data", (text) => (stdout += text));
  child.stderr.on("data", (text) => (stderr += text));
  const code = await new Promise<number | null>((resolve, reject) =>
    child.once("error", reject).once("close", resolve),
  );
  return { code, stdout, stderr, pid: child.pid };
}

describe("finding Node", () => {
  test("a new enough one on the PATH is used, and becomes the very process that was started", async () => {
    await withNode();
    await withNpm();
    const { stdout, pid } = await run(["up", "a b", "", "*"]);
    expect(JSON.parse(stdout)).toMatchObject({
      ...{ args: ["up", "a b", "", "*"], pid },
      flags: ["--max-semi-space-size=64"],
    });
    expect(npmCalls()).toEqual([expect.stringMatching(/^ci --omit=dev/)]);
  });

  test("an older one is passed over: a new one is fetched by npm, once", async () => {
    await withOldNode();
    await withNpm();
    const first = await run(["status"]);
    const second = await run(["status"]);
    expect(JSON.parse(second.stdout)).toMatchObject({ node: join(home, ".onsale/node/bin/node") });
    expect(first.stderr).toContain("fetching Node.js");
    expect(npmCalls()).toEqual([expect.stringContaining(`${nodePackage}@`), expect.stringMatching(/^ci/)]);
  });

  test("where the tested version is not to be had, the next name is tried", async () => {
    await withOldNode();
    await withNpm(`case "$*" in *${nodePackage}@24*) exit 1 ;; esac`);
    expect((await run()).code).toBe(0);
    expect(npmCalls()).toEqual([
      expect.stringContaining(` ${nodePackage}@24`),
      expect.stringContaining(` ${nodePackage}@>=24.6 `),
      expect.stringMatching(/^ci/),
    ]);
  });

  test("where none is to be had, one sentence says so and nothing is left that looks whole", async () => {
    await withOldNode();
    await withNpm("exit 1");
    const { code, stdout, stderr } = await run();
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
    expect(stderr).toContain("no Node.js could be fetched");
    expect(existsSync(join(home, ".onsale/node"))).toBe(false);
  });

  test.each([
    ["without any Node", async () => undefined],
    ["with an old Node", withOldNode],
    ["with a good Node", withNode],
  ])("a machine without npm gets one clear sentence, %s", async (_, prepare) => {
    await prepare();
    const { code, stdout, stderr } = await run();
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
    expect(stderr.trimEnd().split("\n")).toEqual([
      expect.stringMatching(/^onsale: npm is needed .* install Node\.js with npm/),
    ]);
  });
});

describe("installing", () => {
  beforeEach(withNode);

  test("nothing is asked of npm when all is there, also without npm and after a move", async () => {
    await withNpm();
    await run();
    await rm(join(bin, "npm"));
    expect((await run()).code).toBe(0);
    const moved = join(root, "moved");
    await rename(home, moved);
    expect((await run(["x"], { command: join(moved, "onsale") })).code).toBe(0);
    expect(npmCalls()).toHaveLength(1);
  });

  test("a changed lockfile is installed", async () => {
    await withNpm();
    await run();
    await writeFile(join(home, "package-lock.json"), '{ "changed": true }\n');
    await run();
    expect(npmCalls()).toHaveLength(2);
  });

  test("the words of npm are not in the output of the command", async () => {
    await withNpm();
    const { stdout, stderr } = await run();
    expect(stdout).not.toContain("words of npm");
    expect(stderr).toContain("words of npm");
  });

  test("`test` adds what only tests need and takes nothing away; then that is enough for everything", async () => {
    await withNpm();
    await run(["up"]);
    await run(["test"]);
    await run(["test"]);
    await run(["up"]);
    expect(npmCalls()).toEqual([
      expect.stringMatching(/^ci --omit=dev/),
      expect.stringMatching(/^install --no-save --include=dev/),
    ]);
  });

  test("`test` first installs everything at once", async () => {
    await withNpm();
    await run(["test"]);
    await run(["up"]);
    expect(npmCalls()).toEqual([expect.stringMatching(/^ci --include=dev/)]);
  });

  test("what somebody installed by hand serves as it is, and keeps its packages for testing when the lockfile changes", async () => {
    await withNpm();
    await mkdir(join(home, "node_modules/vitest"), { recursive: true });
    await writeFile(join(home, "node_modules/.package-lock.json"), "{}");
    await run(["up"]);
    await run(["test"]);
    expect(npmCalls()).toEqual([]);
    await writeFile(join(home, "package-lock.json"), '{ "changed": true }\n');
    await run(["up"]);
    expect(npmCalls()).toEqual([expect.stringMatching(/^ci --include=dev/)]);
  });

  test("an installation that failed is done again", async () => {
    await withNpm('[ "$1" != ci ] || { mkdir node_modules; exit 1; }');
    const { code, stderr } = await run();
    expect(code).toBe(1);
    expect(stderr).toContain("could not be installed");
    await withNpm();
    expect((await run()).code).toBe(0);
    expect(npmCalls()).toHaveLength(2);
  });

  test("an installation whose launcher was killed is done again", async () => {
    await withNpm(`touch "${root}/begun"; exec sleep 60`);
    const child = spawn(join(home, "onsale"), [], { cwd: root, env: { PATH: bin }, detached: true, stdio: "ignore" });
    await waitFor(() => existsSync(join(root, "begun")));
    const ended = new Promise((resolve) => child.once("exit", resolve));
    process.kill(-(child.pid ?? 0), "SIGKILL");
    await ended;
    await withNpm();
    expect((await run()).code).toBe(0);
    expect(npmCalls()).toHaveLength(2);
  });

  test("an npm that outlives its launcher is waited for, and its work done again", async () => {
    await withNpm(`[ "$(wc -l <"${root}/npm.log")" -gt 1 ] || until [ -e "${root}/go" ]; do sleep 0.05; done`);
    const killed = spawn(join(home, "onsale"), [], { cwd: root, env: { PATH: bin }, stdio: "ignore" });
    await waitFor(() => npmCalls().length === 1);
    killed.kill("SIGKILL");
    const next = spawn(join(home, "onsale"), [], { cwd: root, env: { PATH: bin } });
    const ended = new Promise<number | null>((resolve) => next.once("close", resolve));
    await new Promise<void>((resolve) =>
      next.stderr.on("data", (text) => String(text).includes("waiting for another") && resolve()),
    );
    expect(npmCalls()).toHaveLength(1);
    await writeFile(join(root, "go"), "");
    expect(await ended).toBe(0);
    expect(npmCalls()).toHaveLength(2);
  });

  test("two at once install once", async () => {
    // The first npm waits until the second launcher stands in line, which it says.
    await withNpm(`until [ -e "${root}/go" ]; do sleep 0.05; done`);
    const first = run();
    await waitFor(() => npmCalls().length === 1);
    const second = spawn(join(home, "onsale"), [], { cwd: root, env: { PATH: bin } });
    const waits = new Promise<void>((resolve) =>
      second.stderr.on("data", (text) => String(text).includes("waiting for another") && resolve()),
    );
    const secondEnded = new Promise<number | null>((resolve) => second.once("close", resolve));
    await waits;
    await writeFile(join(root, "go"), "");
    expect([(await first).code, await secondEnded]).toEqual([0, 0]);
    expect(npmCalls()).toHaveLength(1);
  });

  test("a lock whose holder is dead is broken", async () => {
    await withNpm();
    const dead = spawn("true");
    await new Promise((resolve) => dead.once("exit", resolve));
    await mkdir(join(home, ".onsale"));
    await symlink(String(dead.pid), join(home, ".onsale/install.lock"));
    expect((await run()).code).toBe(0);
    expect(existsSync(join(home, ".onsale/install.lock"))).toBe(false);
  });
});

test("it finds its folder through links, from anywhere", async () => {
  await withNode();
  await withNpm();
  await mkdir(join(root, "links"));
  await symlink("../a check out/onsale", join(root, "links/one"));
  await symlink("links/one", join(root, "two"));
  const { stdout } = await run(["hello"], { command: join(root, "two"), cwd: "/" });
  expect(JSON.parse(stdout)).toMatchObject({ args: ["hello"] });
  expect(existsSync(join(home, "node_modules"))).toBe(true);
});

test("it is a plain script that every POSIX shell reads", async () => {
  const text = await readFile(launcher, "utf8");
  expect(text.startsWith("#!/bin/sh\n")).toBe(true);
  expect(statSync(launcher).mode & 0o111).toBe(0o111);
  await promisify(execFile)("sh", ["-n", launcher]);
  // Words of other shells that dash would only trip over when it gets there.
  expect(text).not.toMatch(/\[\[|\blocal\b|\bfunction\b|<\(|\$'|==|\becho -e\b|\bsource\b/);
});
