import { appendFile, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { JournalDamagedError, openJournal } from "../src/journal.ts";

let directory: string;
let path: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "onsale-journal-"));
  path = join(directory, "journal.ndjson");
});
afterEach(() => rm(directory, { recursive: true, force: true }));

async function open() {
  const records: unknown[] = [];
  const fail = (error: unknown) => {
    throw error;
  };
  const journal = await openJournal({ path, replay: (record) => records.push(record), onFailure: fail });
  return { journal, records };
}

/** What a new process finds. */
async function reread(): Promise<unknown[]> {
  const { journal, records } = await open();
  await journal.close();
  return records;
}

test("what was appended is read again, in order", async () => {
  const { journal } = await open();
  const appended = Array.from({ length: 1_000 }, (_, number) => ({ number }));
  await Promise.all(appended.map((record) => journal.append(record)));
  await journal.close();
  expect(await reread()).toEqual(appended);
});

test("appends that arrive together share a flush; nothing is owed after it", async () => {
  const { journal } = await open();
  expect(journal.settled()).toBeUndefined();
  const first = journal.append({ number: 1 });
  expect(journal.append({ number: 2 })).toBe(first);
  expect(journal.settled()).toBe(first);
  await first;
  expect(journal.settled()).toBeUndefined();
  expect(await readFile(path, "utf8")).toBe('{"number":1}\n{"number":2}\n');
  await journal.close();
});

test.each([
  ["half a line", '{"number":3,"te'],
  ["half a line of which the end of line survived", '{"number":3,"te\n'],
  ["zeros", "\0\0\0\0"],
  ["half of a character", Buffer.from([0x22, 0xc3])],
])("a last line that was cut short (%s) is removed, and the journal goes on behind the whole ones", async (_, torn) => {
  await writeFile(path, '{"number":1}\n{"number":2}\n');
  await appendFile(path, torn);
  const { journal, records } = await open();
  expect(records).toEqual([{ number: 1 }, { number: 2 }]);
  await journal.append({ number: 4 });
  await journal.close();
  expect(await reread()).toEqual([{ number: 1 }, { number: 2 }, { number: 4 }]);
});

test("a line that can't be read before others is damage, and is left as it is", async () => {
  const damaged = '{"number":1}\n{"num\n{"number":3}\n';
  await writeFile(path, damaged);
  await expect(open()).rejects.toBeInstanceOf(JournalDamagedError);
  expect(await readFile(path, "utf8")).toBe(damaged);
});

test("lines longer than what is read at once are read whole", async () => {
  const { journal } = await open();
  const record = { text: "½".repeat(1_500_000) };
  await journal.append(record);
  await journal.append({ number: 2 });
  await journal.close();
  expect(await reread()).toEqual([record, { number: 2 }]);
});
