import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Command } from "commander";
import { describe, expect, test } from "vitest";
import { checkout } from "../src/checkout.ts";
import { program } from "../src/program.ts";

const folder = join(checkout, "docs/runbooks");
const pages = await Promise.all((await readdir(folder)).map((name) => readFile(join(folder, name), "utf8")));
const commands = pages.flatMap((page) => [...page.matchAll(/`\.\/onsale ([^`]+)`/g)].map(([, words = ""]) => words));

/** The command that is called, and the words behind it. */
function found(command: Command, words: readonly string[]): [Command, readonly string[]] {
  const next = command.commands.find((it) => it.name() === words[0]);
  return next ? found(next, words.slice(1)) : [command, words];
}

describe("what a runbook tells a person to type", () => {
  test.each([...new Set(commands)])("onsale %s", (line) => {
    const [command, words] = found(program(), line.split(/\s+/));
    expect(command.commands, "a command, and not a group of them").toEqual([]);
    const names = words.filter((word) => word.startsWith("-"));
    const known = command.options.flatMap(({ short, long }) => [short, long]);
    expect(names.filter((name) => !known.includes(name))).toEqual([]);
  });

  test("is some dozen commands", () => {
    expect(commands.length).toBeGreaterThan(12);
  });
});
