/** What files are called, and what they let out. */

import { type Fault, faultAt, type House, type Rule, type Source } from "./source.ts";

/** A service shows one value: its definition. Types may come along. */
export const oneValue: Rule = ({ sources }) =>
  sources
    .filter(({ path }) => /^services\/[^/]+\/src\/index\.ts$/.test(path))
    .flatMap((source) => {
      const values = exportedValues(source);
      return values.length === 1
        ? []
        : [faultAt(source, 0, `a service exports one value, not ${values.length}: ${values.join(", ")}`)];
    });

function exportedValues({ program }: Source): string[] {
  return program.body.flatMap((statement) => {
    if (statement.type === "ExportAllDeclaration") return statement.exportKind === "type" ? [] : ["*"];
    if (statement.type === "ExportDefaultDeclaration") return ["default"];
    if (statement.type !== "ExportNamedDeclaration" || statement.exportKind === "type") return [];
    const named = statement.specifiers
      .filter(({ exportKind }) => exportKind !== "type")
      .map(({ exported }) => (exported.type === "Literal" ? exported.value : exported.name));
    return statement.declaration ? [...named, nameOf(statement.declaration)] : named;
  });
}

const nameOf = (declaration: object): string => {
  const { id, declarations } = declaration as { id?: { name?: string }; declarations?: { id: { name?: string } }[] };
  return id?.name ?? declarations?.map((it) => it.id.name).join(", ") ?? "?";
};

/** Only a package's entry does nothing but pass on. */
export const noBarrels: Rule = (house) =>
  house.sources
    .filter((source) => !isEntry(house, source.path) && passesOnOnly(source))
    .map((source) => faultAt(source, 0, "passes on what others export: import it from where it is"));

const isEntry = ({ packages }: House, path: string): boolean =>
  packages.some(({ entries }) =>
    entries.some((entry) => (entry.includes("*") ? matches(entry, path) : entry === path)),
  );

const matches = (pattern: string, path: string): boolean => {
  const [before = "", after = ""] = pattern.split("*");
  return path.startsWith(before) && path.endsWith(after);
};

const passesOnOnly = ({ program: { body } }: Source): boolean =>
  body.length > 0 &&
  body.every(
    (statement) =>
      (statement.type === "ExportNamedDeclaration" || statement.type === "ExportAllDeclaration") &&
      statement.source !== null,
  );

const grabBag = /(^|[/-])(utils?|helpers?|common|misc|managers?|shared|stuff)\.ts$/;

/** A file is a noun or a use case, in words joined by hyphens. */
export const fileNames: Rule = ({ sources }) =>
  sources.flatMap((source): Fault[] => {
    if (grabBag.test(source.path)) return [faultAt(source, 0, "a file is a noun or a use case, not a bag")];
    const name = source.path.split("/").at(-1) ?? "";
    return /^[a-z0-9]+(-[a-z0-9]+)*(\.[a-z0-9]+)*\.ts$/.test(name)
      ? []
      : [faultAt(source, 0, `name it in lower case with hyphens: ${name}`)];
  });

const cost = /\.(unit|pg|kafka|redis|fault|drill|long)\.test\.ts$/;

/** A test's name says what it costs. */
export const testNames: Rule = ({ sources }) =>
  sources
    .filter(({ path }) => path.endsWith(".test.ts") && !cost.test(path))
    .map((source) => faultAt(source, 0, "name the test's cost: .unit, .pg, .kafka, .redis, .fault, .drill or .long"));
