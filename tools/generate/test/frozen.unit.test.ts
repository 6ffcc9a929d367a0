import { cp, mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { orderPlaced } from "@onsale/contracts/orders";
import { defineEvent } from "@onsale/messaging";
import { type TSchema, Type } from "typebox";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { command } from "../src/documents.ts";
import { frozenAnew, frozenFolder, writeFrozen } from "../src/frozen.ts";

const root = new URL("../../../", import.meta.url);

test(`${frozenFolder} is what \`${command}\` writes, and keeps every promise`, async () => {
  const { breaks, files } = await frozenAnew(root);
  expect(breaks).toEqual([]);
  expect([...files.keys()].sort()).toEqual((await readdir(new URL(`${frozenFolder}/`, root))).sort());
  for (const [name, text] of files) {
    expect(await readFile(new URL(`${frozenFolder}/${name}`, root), "utf8"), name).toBe(text);
  }
});

describe("a changed contract:", () => {
  let folder: string;
  let copy: URL;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "onsale-frozen-"));
    copy = pathToFileURL(`${folder}/`);
    await cp(new URL(`${frozenFolder}/`, root), new URL(`${frozenFolder}/`, copy), { recursive: true });
  });
  afterEach(() => rm(folder, { recursive: true }));

  const required = new Set<string>(orderPlaced.schema.required);
  const fields: Record<string, TSchema> = Object.fromEntries(
    Object.entries(orderPlaced.schema.properties).map(([name, field]) => [
      name,
      required.has(name) ? field : Type.Optional(field),
    ]),
  );
  const changed = (properties: Record<string, TSchema>, sample: object) =>
    defineEvent(orderPlaced.type, {
      key: "orderId",
      lanes: { online: true },
      schema: Type.Object(properties),
      sample,
    } as never);

  test("one that breaks consumers is refused by name, and nothing is written", async () => {
    const now = changed({ ...fields, channel: Type.String() }, { ...orderPlaced.sample, channel: "web" });
    const frozen = await frozenAnew(copy, [now]);
    expect(frozen.breaks).toContainEqual({
      type: "order.placed.v1",
      path: "/channel",
      rule: "BACKWARD",
      what: expect.stringContaining("new consumers can't read old events"),
      breaks: expect.arrayContaining(["inventory.reserve-stock"]),
    });
    await expect(writeFrozen(copy, frozen)).rejects.toThrow(/order\.placed\.v1\/channel breaks BACKWARD/);
    const file = `${frozenFolder}/order.placed.v1.json`;
    expect(await readFile(new URL(file, copy), "utf8")).toBe(await readFile(new URL(file, root), "utf8"));
  });

  test("one that its rule allows is frozen beside what was", async () => {
    const { placedAt: _, ...sample } = orderPlaced.sample;
    const kept = Object.fromEntries(Object.entries(fields).filter(([name]) => name !== "placedAt"));
    const others = (await frozenAnew(copy)).files.size;
    const { files } = await frozenAnew(copy, [changed(kept, sample)]);
    const frozen = JSON.parse(files.get("order.placed.v1.json") ?? "");
    expect(
      frozen.shapes.map(({ schema }: { schema: { required: string[] } }) => schema.required.includes("placedAt")),
    ).toEqual([true, false]);
    expect(others).toBeGreaterThan(20);
  });
});
