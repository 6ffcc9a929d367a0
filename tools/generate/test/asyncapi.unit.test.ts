/** The AsyncAPI initiative's own schema is the judge of the document's form; its sense is compared with the code. */

import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { eventsByOwner } from "@onsale/contracts/events";
import { Ajv } from "ajv";
import addFormats from "ajv-formats";
import { expect, test } from "vitest";
import { folder } from "../src/documents.ts";
import { services } from "../src/events.ts";

type Json = { [name: string]: Json };
const read = async (path: URL | string): Promise<Json> => JSON.parse(await readFile(path, "utf8"));

const specification = createRequire(import.meta.url).resolve("@asyncapi/specs/schemas/3.0.0.json");
const document = await read(new URL(`../../../${folder}/asyncapi.json`, import.meta.url));

// The specification brings the meta-schema of JSON Schema along, so that ajv's own would be a second one.
const validator = () =>
  addFormats.default(new Ajv({ strict: false, allErrors: true, meta: false, validateSchema: false }));
const form = validator().compile(await read(specification));

const definitions = Object.values(eventsByOwner).flat();
const hearers = Object.values(services).flat();

test("it is AsyncAPI 3.0", () => {
  expect(form(document), JSON.stringify(form.errors?.slice(0, 3))).toBe(true);
});

test("the judge notices what is missing, and what does not belong", () => {
  for (const spoil of [
    (it: Json) => Reflect.deleteProperty(it, "info"),
    (it: Json) => Object.assign(Object.values(it["operations"] as Json)[0] as Json, { action: "shout" }),
    (it: Json) => Object.assign(Object.values(it["channels"] as Json)[0] as Json, { topic: "x" }),
  ]) {
    const spoilt = structuredClone(document);
    spoil(spoilt);
    expect(form(spoilt)).toBe(false);
  }
});

test("every reference leads somewhere", () => {
  const references = [...JSON.stringify(document).matchAll(/"\$ref":"#\/([^"]+)"/g)].map(([, path = ""]) => path);
  expect(references.length).toBeGreaterThan(100);
  for (const path of references)
    expect(
      path.split("/").reduce<Json | undefined>((at, name) => at?.[name], document),
      path,
    ).toBeDefined();
});

test("every event is a message of its owner's channels, and its sample is an example that fits", () => {
  const messages = document["components"]?.["messages"] ?? {};
  expect(Object.keys(messages).sort()).toEqual(definitions.map(({ type }) => type).sort());
  const ajv = validator().addSchema({ $id: "doc", ...document });
  for (const [owner, events] of Object.entries(eventsByOwner)) {
    for (const { type, lanes, sample } of events) {
      for (const lane of Object.keys(lanes))
        expect(document["channels"]?.[`${owner}.${lane}`]?.["messages"]).toHaveProperty([type]);
      const { examples } = messages[type] as unknown as { examples: { payload: unknown; headers: unknown }[] };
      const [example] = examples;
      expect(example?.payload).toEqual(sample);
      const check = (part: "headers" | "payload") =>
        ajv.validate(`doc#/components/messages/${type}/${part}`, example?.[part]);
      expect([check("headers"), check("payload")], `${type} ${ajv.errorsText()}`).toEqual([true, true]);
    }
  }
});

test("every consumer receives what it hears, and nothing else", () => {
  const operations = Object.entries(document["operations"] ?? {});
  for (const { name, on } of hearers) {
    const own = operations.filter(([id]) => id.startsWith(`${name}.hears.`)).map(([, it]) => it);
    const heard = own.flatMap((it) =>
      (it["messages"] as unknown as { $ref: string }[]).map(({ $ref }) => $ref.split("/").at(-1)),
    );
    expect([...new Set(heard)].sort(), name).toEqual(on.map(({ type }) => type).sort());
  }
});
