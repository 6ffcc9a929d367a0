/** Who hears of sales. The same code in every part of the drill: lanes and shards are not its business. */

import {
  type BasePorts,
  consumer,
  type Delivered,
  HopReport,
  type HopRow,
  type Lane,
  OutboxLog,
  silentTelemetry,
  startFeeds,
} from "@onsale/messaging";
import { array, openDatabase, sql, type Transaction, text } from "@onsale/postgres";
import { roleOf } from "../theatre/stage.ts";
import { saleRecorded } from "./sale-event.ts";

export interface SubscriberOptions {
  readonly url: string;
  /** Streams that a lane is divided into, by key. */
  readonly shards?: number;
  /** Done before the sales of a batch are written down. */
  readonly before?: (sales: readonly Delivered<typeof saleRecorded>[]) => Promise<void>;
}

/** What was heard since the last time that somebody asked. */
export interface Heard {
  /** Milliseconds from when each online sale was to be made to the commit of its effect; and when it was to be made. */
  readonly online: readonly { readonly dueAtMs: number; readonly milliseconds: number }[];
  readonly bulk: number;
  /** When the last imported sale was applied, in milliseconds since 1970. */
  readonly lastBulkAtMs: number;
  readonly hops: Readonly<Partial<Record<Lane, HopTable>>>;
}

export interface HopTable {
  readonly rows: readonly HopRow[];
  readonly bottleneck: string | undefined;
}

export interface Subscriber {
  /** Gives what was heard, and forgets it. */
  take(): Heard;
  readonly bulkHeard: number;
  end(): Promise<void>;
}

const writeSql = sql("drills.write-heard", { takes: [array(text)], gives: {} })`
  insert into heard (id) select unnest($1::text[])`;

const write = (tx: Transaction, sales: readonly Delivered<typeof saleRecorded>[]): Promise<number> =>
  tx.execute(writeSql, [sales.map(({ key }) => key)]);

export function subscribe({ url, shards = 1, before }: SubscriberOptions): Subscriber {
  const database = openDatabase({
    ...{ url, schema: "sink", role: roleOf("sink") },
    ...{ connections: 2 * shards + 4, applicationName: "drill subscriber" },
  });
  const ledger = new Ledger();
  const feeds = startFeeds<BasePorts>({
    service: "sink",
    database,
    consumers: [
      consumer("sink.hear-sales", {
        on: saleRecorded,
        in: "batch",
        async do(tx, sales) {
          await before?.(sales);
          await write(tx, sales);
          tx.afterCommit(() => ledger.note(sales));
        },
      }),
    ],
    ports: { clock: { now: () => new Date().toISOString() }, ids: { uuid: () => crypto.randomUUID() } },
    sourceOf: () => "source",
    log: new OutboxLog({ database, slots: shards }),
    telemetry: {
      ...silentTelemetry,
      batchApplied: ({ lane, hops }) => ledger.noteHops(lane, hops),
      interrupted: ({ lane, error }) => console.error(`the ${lane} lane was interrupted: ${error}`),
    },
  });
  return {
    take: () => ledger.take(),
    get bulkHeard() {
      return ledger.bulk;
    },
    async end() {
      await feeds.drain();
      await database.close();
    },
  };
}

class Ledger {
  bulk = 0;
  #online: { dueAtMs: number; milliseconds: number }[] = [];
  #lastBulkAtMs = 0;
  #hops = new Map<Lane, HopReport>();

  note(sales: readonly Delivered<typeof saleRecorded>[]): void {
    const now = Date.now();
    for (const { data } of sales) {
      if (data.dueAtMs === undefined) {
        this.bulk++;
        this.#lastBulkAtMs = now;
      } else {
        this.#online.push({ dueAtMs: data.dueAtMs, milliseconds: now - data.dueAtMs });
      }
    }
  }

  noteHops(lane: Lane, durations: Parameters<HopReport["add"]>[0]): void {
    const report = this.#hops.get(lane) ?? new HopReport();
    this.#hops.set(lane, report);
    report.add(durations);
  }

  take(): Heard {
    const hops = [...this.#hops].map(([lane, report]) => [
      lane,
      { rows: report.rows(), bottleneck: report.bottleneck() },
    ]);
    const heard = {
      ...{ online: this.#online, bulk: this.bulk, lastBulkAtMs: this.#lastBulkAtMs },
      hops: Object.fromEntries(hops) as Heard["hops"],
    };
    this.#online = [];
    this.bulk = 0;
    this.#hops = new Map();
    return heard;
  }
}
