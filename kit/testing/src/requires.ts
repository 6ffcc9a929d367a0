import { spawnSync } from "node:child_process";
import { inject } from "vitest";
import "./vitest/provided.ts";

/**
 * Whether a program that tests need is here: `describe.skipIf(!requires("Java", "java", "-version"))`. Where it is absent
 * that is said aloud, and the last lines of the run name each skipped test; a run that requires everything
 * (`ONSALE_TEST_REQUIRE_ALL=1`) fails instead.
 */
export function requires(name: string, program: string, ...args: readonly string[]): boolean {
  const { status } = spawnSync(program, args, { stdio: "ignore", timeout: 20_000 });
  return present(name, status === 0);
}

/** The same for a part whose presence the test itself found out. */
export function present(name: string, isHere: boolean): boolean {
  if (isHere) return true;
  if (inject("requireAll")) throw new Error(`This run requires everything, and ${name} is absent.`);
  console.warn(`SKIPPED: the tests of this file that need ${name}, which is absent.`);
  return false;
}

/** The same for a part of the run, which says itself why it can't be had. */
export async function requiresPart(part: string, name: string): Promise<boolean> {
  const answer = await fetch(`${inject("partsOfThisRun")}/why-without-${part}`);
  const why = await answer.text();
  return present(`${name} (${why})`, answer.ok && why === "");
}
