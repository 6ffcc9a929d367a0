import { type House, packageGraph } from "@onsale/tidy";
import { code, table } from "./markdown.ts";

/** Which package imports which, tests left out: a new line in the graph is a line in the change. */
export function modulesPage(house: House): string {
  const graph = packageGraph(house);
  const folders = new Map(house.packages.map(({ name, folder }) => [name, folder]));
  const rows = [...graph].map(([name, targets]) => ({ folder: folders.get(name) ?? name, targets }));
  const short = (name: string) => (folders.get(name) ?? name).replaceAll("/", "_");
  return [
    "# Modules",
    "",
    "Imports go one way: kit <- contracts <- services <- apps, bench; tools look at everything. Tests are left out.",
    "",
    ...table(
      ["package", "imports"],
      rows.map(({ folder, targets }) => [code(folder), targets.map((it) => code(folders.get(it) ?? it)).join(" ")]),
    ),
    "",
    "```mermaid",
    "flowchart LR",
    ...[...graph].flatMap(([name, targets]) => targets.map((target) => `  ${short(name)} --> ${short(target)}`)),
    "```",
    "",
  ].join("\n");
}
