/** An evening at the box office, with people who pay and a hand that kills programs. */

import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { type SpawnedNode, spawnNode, waitFor } from "@onsale/testing";

export interface Evening {
  /** Payments that were answered with 201. */
  readonly paid: readonly string[];
  /** The payment of each line that the chat shows, in its order. */
  readonly shown: readonly string[];
  /** Messages that the chat got again and did not show. */
  readonly dropped: number;
  /** How often the box office began to read from the write-ahead log. */
  readonly readByWal: number;
  /** How often each was killed, and when. */
  readonly kills: Readonly<Record<string, number>>;
}

export interface EveningOptions {
  /** Where the example lies. */
  readonly folder: URL;
  readonly databaseUrl: string;
  readonly reader: "snapshot" | "wal";
  /** The file of what the chat shows. */
  readonly chatFile: URL;
  /** Kills at least; more until a message was sent twice. */
  readonly rounds: number;
}

/** Who is killed, and what has just been seen when it happens. */
const moments = [
  { killed: ["box office"], seen: "paid" },
  { killed: ["box office"], seen: "shown" },
  { killed: ["chat"], seen: "shown" },
  { killed: ["chat"], seen: "paid" },
  { killed: ["box office", "chat"], seen: "shown" },
] as const;

// Far above what it takes: each kill between a call and its record sends a message twice.
const mostRounds = 100;

/** People who pay at once. */
const people = 4;

export async function evening(options: EveningOptions): Promise<Evening> {
  const { folder, databaseUrl, reader, rounds } = options;
  const path = fileURLToPath(options.chatFile);
  await using chat = await Program.start(new URL("chat.ts", folder), (port) => [path, port]);
  const chatUrl = `http://127.0.0.1:${chat.port}`;
  await using boxOffice = await Program.start(new URL("box-office.ts", folder), (port) => [
    databaseUrl,
    chatUrl,
    port,
    reader,
  ]);
  const programs = { chat, "box office": boxOffice };

  const crowd = new Crowd(`http://127.0.0.1:${boxOffice.port}`, () => chat.count(/^shown /));
  const kills: Record<string, number> = {};
  for (let round = 0; round < rounds || chat.count(/^dropped /) === 0; round++) {
    if (round === mostRounds) throw new Error(`No message was sent twice in ${mostRounds} rounds.`);
    const { killed, seen } = moments[round % moments.length] ?? moments[0];
    const countSeen = () => (seen === "paid" ? crowd.paid.size : chat.count(/^shown /));
    const aim = countSeen() + 1 + (round % 7);
    await waitFor(() => countSeen() >= aim, { what: `${seen} after ${round} kills` });
    await Promise.all(killed.map((name) => programs[name].killAndRestart()));
    const moment = `${killed.join(" and ")} when ${seen}`;
    kills[moment] = (kills[moment] ?? 0) + 1;
  }
  await crowd.goHome();
  await waitFor(async () => (await shownIn(path)).length >= crowd.paid.size, { what: "the last message" });
  return {
    paid: [...crowd.paid],
    shown: await shownIn(path),
    dropped: chat.count(/^dropped /),
    readByWal: boxOffice.count(/^reading by wal$/),
    kills,
  };
}

/** The payment ids in the chat's file, line by line. */
const shownIn = async (path: string): Promise<string[]> =>
  (await readFile(path, "utf8")).split("\n").flatMap((line) => /^\S+ (p-\d+): /.exec(line)?.slice(1) ?? []);

/** People who pay one ticket after the other, and again when they got no answer. */
class Crowd {
  readonly paid = new Set<string>();
  readonly #url: string;
  readonly #shown: () => number;
  readonly #persons: Promise<void>[];
  #next = 1;
  #open = true;

  constructor(url: string, shown: () => number) {
    this.#url = url;
    this.#shown = shown;
    this.#persons = Array.from({ length: people }, () => this.#person());
  }

  /** Nobody begins another payment; resolves when all that were begun are answered. */
  async goHome(): Promise<void> {
    this.#open = false;
    await Promise.all(this.#persons);
  }

  async #person(): Promise<void> {
    while (this.#open) {
      const paymentId = `p-${this.#next++}`;
      await waitFor(() => this.#pay(paymentId), { what: `an answer to ${paymentId}` });
      this.paid.add(paymentId);
      // The chat may fall behind by some messages only, so that a kill always meets payments at every stage.
      await waitFor(() => !this.#open || this.paid.size - this.#shown() < 30, { what: "the chat" });
    }
  }

  async #pay(paymentId: string): Promise<boolean> {
    const body = JSON.stringify({ paymentId, concert: "Nina Hagen", seats: 2, amountMinor: 9_800 });
    return (await fetch(this.#url, { method: "POST", body })).status === 201;
  }
}

/** One of the example's programs, over all its lives. */
class Program {
  readonly port: string;
  readonly #script: URL;
  readonly #argsAt: (port: string) => readonly string[];
  readonly #earlier: string[] = [];
  #life: SpawnedNode;

  private constructor(script: URL, argsAt: (port: string) => readonly string[], life: SpawnedNode, port: string) {
    this.#script = script;
    this.#argsAt = argsAt;
    this.#life = life;
    this.port = port;
  }

  /** Starts it on a free port, which it then keeps. */
  static async start(script: URL, argsAt: (port: string) => readonly string[]): Promise<Program> {
    const life = await spawnNode(script, { args: argsAt("0") });
    const [, port = ""] = listening.exec(await life.line(listening)) ?? [];
    return new Program(script, argsAt, life, port);
  }

  async killAndRestart(): Promise<void> {
    this.#life.signal("SIGKILL");
    await this.#life.ended;
    this.#earlier.push(...this.#life.lines);
    this.#life = await spawnNode(this.#script, { args: this.#argsAt(this.port) });
    await this.#life.line(listening);
  }

  /** Lines that fit, in all its lives. */
  count(pattern: RegExp): number {
    return [...this.#earlier, ...this.#life.lines].filter((line) => pattern.test(line)).length;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#life[Symbol.asyncDispose]();
  }
}

const listening = / on .*port: (\d+)/;
