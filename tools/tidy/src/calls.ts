/** Calls that are allowed in one place only. */

import type { ESTree, VisitorObject } from "rolldown/utils";
import { type Fault, faultAt, isTest, type Rule, type Source, visit } from "./source.ts";

type Refuse = (node: { readonly start: number }, what: string) => void;

/** Walks the files for which a rule holds, and gathers what its visitor refuses. */
const refusing =
  (holdsFor: (path: string) => boolean, visitorOf: (refuse: Refuse) => VisitorObject): Rule =>
  ({ sources }) =>
    sources.filter(({ path }) => holdsFor(path)).flatMap((source) => refusedIn(source, visitorOf));

function refusedIn(source: Source, visitorOf: (refuse: Refuse) => VisitorObject): Fault[] {
  const faults: Fault[] = [];
  visit(
    source,
    visitorOf((node, what) => faults.push(faultAt(source, node.start, what))),
  );
  return faults;
}

/** `a.b.c` as text, for chains of plain names; `globalThis` in front is left out. */
function chainOf(node: ESTree.Expression | ESTree.Super): string {
  if (node.type === "Identifier") return node.name;
  if (node.type !== "MemberExpression" || node.computed || node.property.type !== "Identifier") return "";
  const object = chainOf(node.object);
  if (object === "globalThis") return node.property.name;
  return object && `${object}.${node.property.name}`;
}

/** The name under which a module exports what is imported; undefined for a default or a whole namespace. */
const importedName = (specifier: ESTree.ImportDeclarationSpecifier): string | undefined =>
  specifier.type === "ImportSpecifier" && specifier.imported.type === "Identifier"
    ? specifier.imported.name
    : undefined;

const readOnce = "process.env is read only in kit/runtime";

/** Configuration is read once, in kit/runtime. Tools that are configured in TypeScript and tests may look themselves. */
export const environment: Rule = refusing(
  (path) => !path.startsWith("kit/runtime/") && !isTest(path) && !path.endsWith(".config.ts"),
  (refuse) => ({
    MemberExpression(node) {
      if (chainOf(node) === "process.env") refuse(node, readOnce);
    },
    VariableDeclarator({ id, init, start }) {
      if (init && chainOf(init) === "process" && id.type === "ObjectPattern") refuse({ start }, readOnce);
    },
    ImportDeclaration({ source, specifiers }) {
      if (source.value !== "node:process") return;
      for (const specifier of specifiers) if (importedName(specifier) === "env") refuse(specifier, readOnce);
    },
  }),
);

const clocksAndDice = new Set(["Date.now", "Math.random", "crypto.randomUUID", "performance.now", "process.hrtime"]);
// Not randomBytes: secrets are made of it, and no decision hangs on their value.
const diceOfNode = new Set(["randomUUID", "randomInt"]);

/**
 * What a service decides depends on nothing but its arguments: time and ids come from the ports it is given. Its
 * telemetry may look at the clock.
 */
export const timeAndChance: Rule = refusing(
  (path) => /^(services\/[^/]+|contracts)\/src\//.test(path) && !path.endsWith("/telemetry.ts"),
  (refuse) => ({
    CallExpression(node) {
      const name = chainOf(node.callee);
      if (clocksAndDice.has(name)) refuse(node, `${name}() is no argument: take it from the ports`);
    },
    NewExpression(node) {
      const isNow = chainOf(node.callee) === "Date" && node.arguments.length === 0;
      if (isNow) refuse(node, "new Date() is no argument: take the time from the ports");
    },
    ImportDeclaration({ source, specifiers }) {
      if (source.value !== "node:crypto") return;
      for (const specifier of specifiers) {
        const name = importedName(specifier) ?? "";
        if (diceOfNode.has(name)) refuse(specifier, `${name} is chance: take ids from the ports`);
      }
    },
  }),
);

// Where people read the output as it comes.
const speaksToPeople = /^(apps\/(cli|provider-sim)|bench|drills|tools|examples|kit\/testing)\//;

/** Facts go through telemetry; only the command line speaks to a terminal. */
export const consoles: Rule = refusing(
  (path) => !speaksToPeople.test(path) && !isTest(path),
  (refuse) => ({
    CallExpression(node) {
      const name = chainOf(node.callee);
      if (name.startsWith("console.")) refuse(node, `${name}: facts go through telemetry.ts`);
    },
  }),
);

const sleeps = new Set(["setTimeout", "timers.setTimeout", "scheduler.wait"]);
const noSleep = "a test waits for a signal or a condition, it does not sleep";

/** Tests wait for signals and conditions, never for time. The test kit, which is what waits, may sleep. */
export const sleepingTests: Rule = refusing(
  (path) => isTest(path) && !path.startsWith("kit/testing/"),
  (refuse) => ({
    CallExpression(node) {
      if (sleeps.has(chainOf(node.callee))) refuse(node, noSleep);
    },
    ImportDeclaration({ source, specifiers }) {
      if (!source.value.startsWith("node:timers")) return;
      for (const specifier of specifiers) if (importedName(specifier) === "setTimeout") refuse(specifier, noSleep);
    },
  }),
);
