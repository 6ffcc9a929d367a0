/** The house rules. Each is a function over the files of the checkout; a test runs them all. */

import { consoles, environment, sleepingTests, timeAndChance } from "./calls.ts";
import { alarmsExplained, documentsNamed, linksLead, metricsExist } from "./documents.ts";
import { fileNames, noBarrels, oneValue, testNames } from "./entries.ts";
import { excepting } from "./exceptions.ts";
import { language, promises } from "./language.ts";
import type { Rule } from "./source.ts";
import { durability, sqlInItsPlace, statementNames } from "./sql.ts";
import { cycles, walls } from "./walls.ts";

export { exceptionsIn } from "./exceptions.ts";
export { longestFiles, longestFunctions, type Size } from "./sizes.ts";
export {
  type Fault,
  type House,
  type Package,
  packageOf,
  parse,
  type Rule,
  readHouse,
  type Source,
  shown,
} from "./source.ts";
export { packageGraph } from "./walls.ts";

/** Every rule by its name. `exists` tells whether a path, relative to the root of the checkout, is there. */
export const rules = (exists: (path: string) => boolean): Readonly<Record<string, Rule>> =>
  Object.fromEntries(Object.entries(strictRules(exists)).map(([name, rule]) => [name, excepting(name, rule)]));

const strictRules = (exists: (path: string) => boolean): Readonly<Record<string, Rule>> => ({
  "every file parses": ({ unparsed }) => [...unparsed],
  "imports go one way": walls,
  "no circles": cycles,
  "SQL in its place": sqlInItsPlace,
  "statements named after their owner": statementNames,
  "durability is PostgreSQL's default": durability,
  "the environment is read once": environment,
  "time and chance come in as arguments": timeAndChance,
  "facts go through telemetry": consoles,
  "tests do not sleep": sleepingTests,
  "the language we use": language,
  "nothing is left for later": promises,
  "a service exports one value": oneValue,
  "no barrels": noBarrels,
  "files are named by what they are": fileNames,
  "tests are named by what they cost": testNames,
  "links lead somewhere": linksLead(exists),
  "documents can be found": documentsNamed,
  "alarms have a runbook": alarmsExplained,
  "runbooks name metrics that exist": metricsExist,
});
