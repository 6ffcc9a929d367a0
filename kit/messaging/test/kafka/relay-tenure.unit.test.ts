import { setImmediate as turn } from "node:timers/promises";
import { expect, test } from "vitest";
import { RelayTenure, type RelayTenureOptions } from "../../src/kafka/relay-tenure.ts";
import type { Chunk, Cursor } from "../../src/log.ts";

const chunks = 6;

/** A log of so many chunks, and a broker that answers when it is told to. */
class Stage {
  readonly read: number[] = [];
  /** Which chunks were asked for and made ready, in their order. */
  readonly done: string[] = [];
  readonly appended: number[] = [];
  readonly stop = new AbortController();
  /** Transactions that save how far it is, and are not committed yet. */
  readonly saves: { readonly commit: () => void; readonly fail: (error: Error) => void }[] = [];
  /** To what was appended and is not acknowledged, the oldest first. */
  readonly #answers: (() => void)[] = [];
  readonly progress = { reportNowAndThen: async () => undefined, isDue: false };

  readonly tenure = new RelayTenure({
    name: { reader: "relay", source: "orders", lane: "online", slot: 0 },
    database: {
      home: { database: "here", schema: "orders" },
      transaction: () => new Promise<void>((commit, fail) => void this.saves.push({ commit, fail })),
    },
    telemetry: {},
    progress: this.progress,
    from: { outbox: { at: 0 }, kafka: {} },
    reader: {
      read: (cursor: Cursor) => this.#chunkBehind((cursor as At).at),
      wait: async () => this.stop.abort(),
    },
    appender: {
      prepare: ({ chunk }: Events) => {
        this.done.push(`${chunk} is made ready`);
        return chunk;
      },
      append: (prepared: unknown) => {
        this.appended.push(prepared as number);
        return new Promise<void>((resolve) => void this.#answers.push(resolve));
      },
    },
  } as unknown as RelayTenureOptions);

  /** The broker has the first of what it was sent; resolves when everybody has done what there was to do. */
  async acknowledge(): Promise<void> {
    this.#answers.shift()?.();
    for (let turns = 0; turns < 10; turns++) await turn();
  }

  async #chunkBehind(at: number): Promise<Chunk> {
    // What one turn of the event loop sends leaves at its end.
    await new Promise<void>((resolve) => process.nextTick(resolve));
    this.done.push(`${at + 1} is asked for`);
    await turn();
    this.read.push(at + 1);
    const events: Events = Object.assign([], { chunk: at + 1 });
    return { events, after: { at: at + 1 }, drained: at + 1 >= chunks };
  }
}

/** None, of a chunk with this number. */
type Events = Chunk["events"] & { readonly chunk: number };

interface At {
  readonly at: number;
}

test("a chunk is sent before the one before it is acknowledged, two more are read ahead, and each is appended once and in order", async () => {
  const stage = new Stage();
  const run = stage.tenure.run(stage.stop.signal);
  const seen: [appended: number | undefined, read: number | undefined][] = [];
  for (let chunk = 0; chunk < chunks; chunk++) {
    await stage.acknowledge();
    seen.push([stage.appended.at(-1), stage.read.at(-1)]);
  }
  await stage.acknowledge();
  await run;
  expect(seen).toEqual([
    [2, 4],
    [3, 5],
    [4, 6],
    [5, 6],
    [6, 6],
    [6, 6],
  ]);
  expect(stage.appended).toEqual([1, 2, 3, 4, 5, 6]);
  expect(stage.read).toEqual([1, 2, 3, 4, 5, 6]);
});

test("the server reads a chunk while the one before it is made ready", async () => {
  const stage = new Stage();
  const run = stage.tenure.run(stage.stop.signal);
  for (let chunk = 0; chunk <= chunks; chunk++) await stage.acknowledge();
  await run;
  // Of those that are read ahead; what is behind them is asked for when there is room.
  expect(stage.done.slice(0, 5)).toEqual([
    "1 is asked for",
    "1 is made ready",
    "2 is asked for",
    "3 is asked for",
    "2 is made ready",
  ]);
});

test("goes on while it is saved how far it is, which is done once at a time and waited for at the end", async () => {
  const stage = new Stage();
  stage.progress.isDue = true;
  const run = stage.tenure.run(stage.stop.signal);
  for (let chunk = 0; chunk < chunks; chunk++) await stage.acknowledge();
  expect(stage.appended).toEqual([1, 2, 3, 4, 5, 6]);
  expect(stage.saves.length).toBe(1);
  let isOver = false;
  const over = run.then(() => {
    isOver = true;
  });
  await stage.acknowledge();
  expect(isOver).toBe(false);
  stage.saves[0]?.commit();
  await over;
});

test("ends when it can't be saved how far it is", async () => {
  const stage = new Stage();
  stage.progress.isDue = true;
  const run = stage.tenure.run(stage.stop.signal);
  run.catch(() => undefined);
  await stage.acknowledge();
  stage.saves[0]?.fail(new Error("Somebody else has moved it."));
  for (let chunk = 0; chunk < chunks; chunk++) await stage.acknowledge();
  await expect(run).rejects.toThrow("Somebody else has moved it.");
  expect(stage.appended).not.toContain(6);
});

test("a read that fails is told behind what was read before it", async () => {
  const stage = new Stage();
  const fault = new Error("The server is gone.");
  const { read } = stage;
  read.push = (at: number) => {
    if (at === 3) throw fault;
    return Array.prototype.push.call(read, at);
  };
  const run = stage.tenure.run(stage.stop.signal);
  run.catch(() => undefined);
  for (let chunk = 0; chunk < chunks; chunk++) await stage.acknowledge();
  await expect(run).rejects.toBe(fault);
  expect(stage.appended).toEqual([1, 2]);
});
