/** Everything under docs/generated, made from the code. */

import { readFile } from "node:fs/promises";
import { readHouse } from "@onsale/tidy";
import { asyncApiPage } from "./asyncapi.ts";
import { errorsPage } from "./errors.ts";
import { eventsPage } from "./events.ts";
import { modulesPage } from "./modules.ts";
import { openApi } from "./openapi.ts";

/** The command that writes them. */
export const command = "node tools/generate/src/main.ts";

/** Where they lie, relative to the root of the checkout. */
export const folder = "docs/generated";

/** The documents by their file names. */
export async function documents(root: URL): Promise<ReadonlyMap<string, string>> {
  const house = await readHouse(root);
  const { version } = JSON.parse(await readFile(new URL("apps/server/package.json", root), "utf8")) as {
    version: string;
  };
  return new Map([
    ["README.md", contents],
    ["asyncapi.json", asyncApiPage(house, version)],
    ["errors.md", errorsPage()],
    ["events.md", eventsPage(house)],
    ["modules.md", modulesPage(house)],
    ["openapi.json", await openApi(version)],
  ]);
}

const contents = `# Made from the code

Don't edit these files: \`${command}\` writes them, and a test compares them with what it would write.

- [events.md](events.md): who tells what, and who hears it
- [asyncapi.json](asyncapi.json): the same events for programs, AsyncAPI 3.0 with CloudEvents headers and Kafka bindings
- [errors.md](errors.md): every code that a refusal can carry
- [modules.md](modules.md): which package imports which
- [openapi.json](openapi.json): the HTTP API, OpenAPI 3.1; the running shop shows it at \`/reference\`
`;
