/** Acts on changes in both manners: in batches, and by a call to the outside for each. */

import { appendFileSync, readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import {
  type BasePorts,
  type Consumer,
  consumer,
  type Delivered,
  type Log,
  OutboxLog,
  silentTelemetry,
  startFeeds,
} from "@onsale/messaging";
import { KafkaCluster, KafkaLog } from "@onsale/messaging/kafka";
import {
  array,
  CommitUnknownError,
  type Database,
  integer,
  isUnavailable,
  openDatabase,
  sql,
  type Transaction,
  text,
  uuid,
} from "@onsale/postgres";
import { disarmDeadlines, takeDueDeadlines } from "@onsale/saga";
import { Random } from "../random.ts";
import { until } from "../until.ts";
import { accountChanged } from "./account-event.ts";
import { type Answer, type ConsumerAssignment, type KafkaPlace, leaseMs } from "./assignment.ts";
import { consumerName } from "./books.ts";
import { faultyLog, RetryTopic, takeDueByClock } from "./consumer-faults.ts";
import type { Mortality } from "./kill-points.ts";
import { roleOf } from "./stage.ts";
import type { Work } from "./work.ts";

/** Looks at deadlines that are due; every few milliseconds, so that one that fires too early is caught. */
const deadlinesEveryMs = 20;

/** A lingering call whose process was not ended meanwhile gives up, and fails the drill by it. */
const lingerAtMostMs = 120_000;

/** Deadlines of a drill belong to this saga. */
export const saga = "drill";

type Change = Delivered<typeof accountChanged>;

export function startConsumer(
  assignment: ConsumerAssignment,
  mortality: Mortality,
  say: (answer: Answer) => void,
): Work {
  const { url, fault, kafka } = assignment;
  const database = openDatabase({
    ...{ url, schema: "sink", role: roleOf("sink") },
    ...{ connections: 6, applicationName: consumerName(process.pid) },
  });
  const stop = new AbortController();
  const from = kafka ? "topic" : "outbox";
  const { log, closeLog } = openLog(database, kafka);
  const topic =
    fault === "retry-topic-without-parking"
      ? new RetryTopic(database, (tx, changes) => recordEffects(tx, "sink.apply", changes))
      : undefined;
  const feeds = startFeeds<BasePorts>({
    service: "sink",
    database,
    consumers: [applyChanges(mortality, topic), callForChanges(assignment, mortality)],
    ports: { clock: { now: () => new Date().toISOString() }, ids: { uuid: () => crypto.randomUUID() } },
    sourceOf: () => "source",
    log: mortalLog(fault === undefined ? log : faultyLog(fault, log, { database, from }), database, mortality),
    retry: { attempts: 100, firstDelayMs: 30 },
    leaseMs,
    telemetry: {
      ...silentTelemetry,
      fenced: () => say({ said: "cut-off" }),
      interrupted({ reader, lane, error }) {
        console.error(`${reader} on ${lane} was interrupted: ${error}`);
        say({ said: "cut-off" });
      },
    },
  });
  const deadlines = fireDeadlines(database, fault === "deadline-without-watermark", stop.signal);
  return {
    async finish() {
      stop.abort();
      await Promise.all([feeds.drain(), deadlines, topic?.finish()]);
      await closeLog();
      await database.close();
    },
  };
}

function openLog(database: Database, kafka: KafkaPlace | undefined): { log: Log; closeLog(): Promise<void> } {
  if (!kafka) return { log: new OutboxLog({ database, pollMs: 10 }), closeLog: async () => undefined };
  const cluster = new KafkaCluster(kafka);
  const log = new KafkaLog({ cluster, database });
  return {
    log,
    async closeLog() {
      await log.close();
      await cluster.close();
    },
  };
}

function applyChanges(mortality: Mortality, topic: RetryTopic | undefined): Consumer {
  const stumble = stumbling();
  return consumer("sink.apply", {
    on: accountChanged,
    in: "batch",
    async do(tx, changes) {
      await disarmDeadlines(tx, saga, [...new Set(changes.map(({ key }) => key))]);
      const own = topic ? await topic.divert(tx, changes) : changes;
      if (!topic) stumble(own);
      await recordEffects(tx, "sink.apply", own);
      tx.afterCommit(() => mortality.pass("batch.after-commit"));
      mortality.pass("batch.before-commit");
    },
  });
}

function callForChanges({ journal, seed }: ConsumerAssignment, mortality: Mortality): Consumer {
  const random = new Random(seed);
  const stumble = stumbling();
  return consumer("sink.call", {
    on: accountChanged,
    in: "each",
    concurrency: 16,
    prepare: async (_, changes) => changes.map((change) => ({ eventId: change.id, work: change })),
    async call(change: Change) {
      mortality.pass("each.before-call");
      stumble([change]);
      const { token, lingers } = change.data;
      appendFileSync(journal, `${token} ${process.pid}\n`);
      if (lingers) await untilAnotherCalls(journal, token);
      // Now and then one takes so long that dozens behind it are settled before it.
      await sleep(random.chance(0.02) ? 25 : random.between(0, 2));
      mortality.pass("each.after-call");
      mortality.pass("consumer.frozen");
      return token;
    },
    async settle(tx, settled) {
      await recordEffects(
        tx,
        "sink.call",
        settled.map(({ event }) => event),
      );
      tx.afterCommit(() => mortality.pass("each.after-commit"));
      mortality.pass("each.before-commit");
    },
  });
}

/** A call that outlives its process: it ends when another process makes the same call. */
async function untilAnotherCalls(journal: string, token: string): Promise<void> {
  const byAnother = (line: string): boolean => line.startsWith(token) && line !== `${token} ${process.pid}`;
  await until(async () => readFileSync(journal, "utf8").split("\n").some(byAnother), lingerAtMostMs);
}

/** Fails at a change that is to fail until it has failed alone, once in this process: so it is found, and its key parked. */
function stumbling(): (changes: readonly Change[]) => void {
  const failed = new Set<string>();
  return (changes) => {
    for (const { data } of changes) {
      if (!data.stumbles || failed.has(data.token)) continue;
      if (changes.length === 1) failed.add(data.token);
      throw new Error(`The first attempt at ${data.token} fails.`);
    }
  };
}

const recordSql = sql("drills.record-effects", {
  takes: [text, integer, array(integer), array(text), array(uuid)],
  gives: {},
})`
  insert into effect (consumer, process, round, key, token)
  select $1, $2, round, key, token
  from unnest($3::int[], $4::text[], $5::uuid[]) with ordinality as change(round, key, token, rank) order by rank`;

/** Writes down that a consumer acted on these changes. */
export async function recordEffects(tx: Transaction, by: string, changes: readonly Change[]): Promise<void> {
  await tx.execute(recordSql, [
    by,
    process.pid,
    changes.map(({ data }) => data.round),
    changes.map(({ key }) => key),
    changes.map(({ data }) => data.token),
  ]);
}

const firedSql = sql("drills.deadline-fired", { takes: [array(text)], gives: {} })`
  insert into fired (round, key) select substring(key from '^r([0-9]+)-')::int, key from unnest($1::text[]) as due(key)`;

async function fireDeadlines(database: Database, byClock: boolean, signal: AbortSignal): Promise<void> {
  const fire = async (tx: Transaction): Promise<void> => {
    const due = byClock
      ? await takeDueByClock(tx, saga)
      : await takeDueDeadlines(tx, { saga, reader: "sink", limit: 1_000 });
    if (due.length > 0) await tx.execute(firedSql, [due.map(({ key }) => key)]);
  };
  while (!signal.aborted) {
    // A frozen process finds its connections cut; what it did not commit it tries again, as a job does.
    await database.transaction(fire).catch(unlessCutOff);
    await sleep(deadlinesEveryMs, undefined, { signal }).catch(() => undefined);
  }
}

function unlessCutOff(error: unknown): void {
  if (!(error instanceof CommitUnknownError || isUnavailable(error))) throw error;
}

/** Between reports to the source; the kit's own are half a minute apart, which is longer than most rounds. */
const reportEveryMs = 100;

/** The same log, in which a process may die when it takes a stream over, and when it has read. */
const mortalLog = (log: Log, database: Database, mortality: Mortality): Log => ({
  cursors: log.cursors,
  slots: (source) => log.slots(source),
  open(feed, types) {
    mortality.pass("consumer.take-over");
    const reader = log.open(feed, types);
    let reportDueAt = 0;
    return {
      wait: (signal) => reader.wait(signal),
      close: () => reader.close(),
      async read(cursor, limit) {
        const chunk = await reader.read(cursor, limit);
        if (feed.reader === "sink" && chunk.events.length > 0) mortality.pass("batch.chunk-read");
        if (performance.now() >= reportDueAt) {
          reportDueAt = performance.now() + reportEveryMs;
          await log.cursors.report(database, feed);
        }
        return chunk;
      },
    };
  },
});
