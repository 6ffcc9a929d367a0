/** Writers that do to an outbox everything that real ones do, at once and by a seed. */

import { randomUUID } from "node:crypto";
import { setImmediate as turn } from "node:timers/promises";
import pg from "pg";

export interface CrowdOptions {
  readonly adminUrl: string;
  readonly seed: number;
  readonly writers: number;
  readonly transactions: number;
  /** A planted fault: the event is inserted before its key's row is locked. */
  readonly insertBeforeLock?: boolean;
}

/** What happened, by kind: a kind that did not happen tests nothing. */
export type Deeds = Record<
  "committed" | "rolledBack" | "savepoint" | "twoPhase" | "terminated" | "serializable",
  number
>;

/** Mulberry32: small, seeded, good enough to choose deeds. */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

export async function letWrite(options: CrowdOptions): Promise<Deeds> {
  const deeds: Deeds = { committed: 0, rolledBack: 0, savepoint: 0, twoPhase: 0, terminated: 0, serializable: 0 };
  const share = Math.ceil(options.transactions / options.writers);
  await Promise.all(
    Array.from({ length: options.writers }, async (_, index) => {
      const writer = new Writer(options, randomFrom(options.seed * 1_000 + index), deeds);
      for (let done = 0; done < share; done++) await writer.writeOnce();
      await writer.leave();
    }),
  );
  return deeds;
}

class Writer {
  readonly #options: CrowdOptions;
  readonly #random: () => number;
  readonly #deeds: Deeds;
  #client: pg.Client | undefined;

  constructor(options: CrowdOptions, random: () => number, deeds: Deeds) {
    this.#options = options;
    this.#random = random;
    this.#deeds = deeds;
  }

  async writeOnce(): Promise<void> {
    const client = await this.#connected();
    const serializable = this.#random() < 0.2;
    try {
      await client.query(`begin isolation level ${serializable ? "serializable" : "read committed"}`);
      for (const key of this.#someKeys()) await this.#writeKey(client, key);
      await this.#end(client);
      if (serializable) this.#deeds.serializable++;
    } catch (error) {
      // Serialization failures, deadlocks of the planted fault, and our own terminations: the transaction is gone.
      if (!(error instanceof Error)) throw error;
      await this.leave();
    }
  }

  async leave(): Promise<void> {
    await this.#client?.end().catch(() => undefined);
    this.#client = undefined;
  }

  async #connected(): Promise<pg.Client> {
    if (!this.#client) {
      this.#client = new pg.Client({ connectionString: this.#options.adminUrl, options: "-c search_path=alpha" });
      this.#client.on("error", () => undefined);
      await this.#client.connect();
    }
    return this.#client;
  }

  /** One to three keys in order, so that well-behaved writers never deadlock. */
  #someKeys(): string[] {
    const count = 1 + Math.floor(this.#random() * 3);
    return [...new Set(Array.from({ length: count }, () => `key-${Math.floor(this.#random() * 12)}`))].sort();
  }

  async #writeKey(client: pg.Client, key: string): Promise<void> {
    await this.#dawdle();
    if (this.#random() < 0.15) {
      await client.query("savepoint attempt");
      await this.#appendTo(client, key);
      await client.query("rollback to savepoint attempt");
      this.#deeds.savepoint++;
    }
    await this.#appendTo(client, key);
  }

  async #appendTo(client: pg.Client, key: string): Promise<void> {
    const id = randomUUID();
    if (this.#options.insertBeforeLock) {
      await this.#insert(client, { id, key, sequence: `(select version + 1 from account where key = $2)` });
      await this.#dawdle();
      await client.query("update account set version = version + 1 where key = $1", [key]);
      return;
    }
    await client.query("update account set version = version + 1 where key = $1", [key]);
    await this.#insert(client, { id, key, sequence: `(select version from account where key = $2)` });
  }

  #insert(client: pg.Client, { id, key, sequence }: { id: string; key: string; sequence: string }): Promise<unknown> {
    return client.query(
      `insert into outbox_online (id, aggregatetype, aggregateid, type, payload, sequence, headers)
       values ($1, 'thing', $2, 'thing.happened.v1', json_build_object('key', $2::text), ${sequence}, '{"correlationid":"test"}')`,
      [id, key],
    );
  }

  async #end(client: pg.Client): Promise<void> {
    await this.#dawdle();
    const chance = this.#random();
    if (chance < 0.1) {
      await client.query("rollback");
      this.#deeds.rolledBack++;
    } else if (chance < 0.15) {
      this.#deeds.terminated++;
      await client.query("select pg_terminate_backend(pg_backend_pid())");
    } else if (chance < 0.25) {
      const name = randomUUID();
      await client.query(`prepare transaction '${name}'`);
      await this.#dawdle();
      await client.query(`commit prepared '${name}'`);
      this.#deeds.twoPhase++;
    } else {
      await client.query("commit");
    }
    if (chance >= 0.15) this.#deeds.committed++;
  }

  /** Lets the others run between two statements: now and then for long. */
  async #dawdle(): Promise<void> {
    const turns = this.#random() < 0.1 ? 40 : Math.floor(this.#random() * 4);
    for (let done = 0; done < turns; done++) await turn();
  }
}
