import { appendFile, readFile, stat, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import fc from "fast-check";
import { expect, test } from "vitest";
import { DamagedJournalError, Journal, type JournalEntry } from "../../src/replay/journal.ts";
import { temporaryFolder } from "./invoices.ts";

const order = (number: number): JournalEntry => ({
  kind: "order",
  invoice: String(number),
  idempotencyKey: `key ${number} ü`,
  orderId: `order-${number}`,
});

const journalPath = async (): Promise<string> => join(await temporaryFolder(), "replay", "play.journal");

async function written(path: string, count: number): Promise<void> {
  const journal = await Journal.open(path);
  for (let number = 0; number < count; number++) await journal.append(order(number));
  await journal.close();
}

async function reopened(path: string): Promise<readonly JournalEntry[]> {
  const journal = await Journal.open(path);
  await journal.close();
  return journal.entries;
}

test("what was appended is there after opening it again, in its order", async () => {
  const path = await journalPath();
  const journal = await Journal.open(path);
  await Promise.all(Array.from({ length: 500 }, (_, number) => journal.append(order(number))));
  await journal.close();
  expect(await reopened(path)).toEqual(Array.from({ length: 500 }, (_, number) => order(number)));
});

test("an entry is on the disk when append resolves", async () => {
  const path = await journalPath();
  const journal = await Journal.open(path);
  await journal.append(order(1));
  expect(await readFile(path, "utf8")).toContain("order-1");
  await journal.close();
});

test("it is for its owner alone: it holds guests' tokens", async () => {
  const path = await journalPath();
  await written(path, 1);
  expect((await stat(path)).mode & 0o777).toBe(0o600);
});

test("wherever a crash tears its end off, the whole entries before it remain and the next ones follow them", async () => {
  const path = await journalPath();
  await written(path, 3);
  const whole = await readFile(path);
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 0, max: whole.length }), async (length) => {
      await writeFile(path, whole);
      await truncate(path, length);
      const kept = (await reopened(path)).length;
      expect(kept).toBe(whole.subarray(0, length).toString().split("\n").length - 1);
      const journal = await Journal.open(path);
      await journal.append(order(9));
      await journal.close();
      expect(await reopened(path)).toEqual([...Array.from({ length: kept }, (_, number) => order(number)), order(9)]);
    }),
    { numRuns: 40 },
  );
});

test("garbage at its end, as a power cut leaves it, is cut away", async () => {
  const path = await journalPath();
  await written(path, 2);
  await appendFile(path, Buffer.alloc(300));
  expect(await reopened(path)).toHaveLength(2);
});

test("a changed entry in the middle is no torn end: it is refused, by line", async () => {
  const path = await journalPath();
  await written(path, 3);
  const text = await readFile(path, "utf8");
  await writeFile(path, text.replace("order-1", "order-7"));
  const opening = Journal.open(path);
  await expect(opening).rejects.toBeInstanceOf(DamagedJournalError);
  await expect(opening).rejects.toThrow("line 2");
});
