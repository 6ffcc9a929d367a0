/** What every type of event has ever looked like, under contracts/frozen. */

import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { eventsByOwner } from "@onsale/contracts/events";
import { type Break, type EventDefinition, type FrozenEvent, freeze, judge } from "@onsale/messaging";
import { services } from "./events.ts";

/** Where they lie, relative to the root of the checkout. */
export const frozenFolder = "contracts/frozen";

/** The promises that the definitions break against what is frozen, and the frozen files as they would be written. */
export interface Frozen {
  readonly breaks: readonly Break[];
  readonly files: ReadonlyMap<string, string>;
}

export async function frozenAnew(
  root: URL,
  definitions: readonly EventDefinition[] = Object.values(eventsByOwner).flat(),
): Promise<Frozen> {
  const before = await readFrozen(root);
  const files = definitions.map((definition): [string, string] => [
    `${definition.type}.json`,
    `${JSON.stringify(freeze(definition, before.get(definition.type)), null, 2)}\n`,
  ]);
  const hearers = Object.values(services).flat();
  return { breaks: judge(definitions, [...before.values()], hearers), files: new Map(files) };
}

/** Writes what is new, or nothing at all when a promise is broken. A type that is gone keeps its file: people remove it. */
export async function writeFrozen(root: URL, { breaks, files }: Frozen): Promise<void> {
  if (breaks.length > 0) throw new Error(`Nothing was frozen:\n${breaks.map(shown).join("\n")}`);
  const target = new URL(`${frozenFolder}/`, root);
  await mkdir(target, { recursive: true });
  for (const [name, text] of files) await writeFile(new URL(name, target), text);
}

const shown = ({ type, path, rule, what, breaks }: Break): string =>
  `  ${type}${path} breaks ${rule}: ${what} (${breaks.join(", ") || "nobody hears it"})`;

async function readFrozen(root: URL): Promise<ReadonlyMap<string, FrozenEvent>> {
  const folder = new URL(`${frozenFolder}/`, root);
  const names = (await readdir(folder).catch(() => [])).filter((name) => name.endsWith(".json")).sort();
  const texts = await Promise.all(names.map((name) => readFile(new URL(name, folder), "utf8")));
  return new Map(texts.map((text) => JSON.parse(text) as FrozenEvent).map((frozen) => [frozen.type, frozen]));
}
