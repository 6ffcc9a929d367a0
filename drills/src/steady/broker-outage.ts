/** A broker that is away under a steady load, frozen and then killed: who waits for it, and what arrives once it is back. */

import { setTimeout as sleep } from "node:timers/promises";
import { type KafkaOptions, type KafkaServer, startKafka } from "@onsale/kafka-server";
import { quantile } from "../figures.ts";
import { type DrillReport, Findings, type Invariant, reportOf } from "../report.ts";
import { openTheatre } from "../theatre/stage.ts";
import { StalledError, SteadyShop } from "./steady-shop.ts";

export interface BrokerOutageOptions {
  /** An administrator's, of the PostgreSQL server to play on. */
  readonly serverUrl: string;
  /** The drill's own: it is frozen and killed. */
  readonly broker: KafkaOptions;
  /** For how long the broker is away each time, in milliseconds. */
  readonly awayMs: number;
  readonly say: (words: string) => void;
}

/** Load before the broker leaves and after it is back. */
const aroundMs = 2_000;

/** A change that is committed so long after it was due was held up; hundredths of it are what a commit takes. */
const lateMs = 2_000;

/** Of what waits, so much at least must be told by the metric: it is looked at a moment later. */
const toldAtLeast = 0.9;

/** Looks at the backlog while the broker is away. */
const looks = 6;

export async function drillBrokerOutage({ serverUrl, broker, awayMs, say }: BrokerOutageOptions): Promise<DrillReport> {
  const startedAt = performance.now();
  await using owned = await ownBroker(broker);
  await using theatre = await openTheatre(serverUrl);
  await using stage = await theatre.stage();
  await using shop = new SteadyShop(stage, { kafka: { bootstrap: owned.bootstrap, prefix: "drill." } });
  await shop.open(aroundMs);
  const quiet = await shop.part(Math.min(awayMs, 10_000));
  const outages: Record<string, Outage> = {};
  const findings = new Findings();
  const ways = { frozen: () => owned.freeze(), killed: () => owned.kill() };
  try {
    for (const [name, leave] of Object.entries(ways)) {
      const outage = await sitOut(shop, { awayMs, leave, comeBack: () => owned.comeBack() });
      outages[name] = outage;
      say(`${name}: ${outage.waiting.join(", ")} events wait, all applied ${outage.caughtUpMs} ms after its return`);
    }
  } catch (error) {
    if (!(error instanceof StalledError)) throw error;
    findings.note("catches-up", 1, [error.message]);
  }
  findings.note("catches-up", Object.keys(outages).length);
  for (const outage of Object.values(outages)) findings.add([intakeGoesOn(outage), backlogIsTold(outage)]);
  findings.add(await shop.judge());
  const figures = { awayMs, quietP99Ms: quantile(quiet, 0.99), outages };
  return reportOf("broker-outage", { invariants: findings.invariants, figures, startedAt });
}

/** Exported for its test. */
export interface Outage {
  readonly changes: number;
  readonly commitP99Ms: number | undefined;
  /** The longest that a change was committed after it was due, in milliseconds. */
  readonly longestCommitMs: number;
  /** What the metric told, look after look, until the broker came back. */
  readonly waiting: readonly number[];
  /** What really waited at the last look. */
  readonly underWay: number;
  /** From the broker's return until everything was applied, the load that still came in included. */
  readonly caughtUpMs: number;
}

async function sitOut(
  shop: SteadyShop,
  broker: { readonly awayMs: number; leave(): Promise<void>; comeBack(): Promise<void> },
): Promise<Outage> {
  const load = shop.part(broker.awayMs + 2 * aroundMs);
  // Its failure is met where it is waited for.
  load.catch(() => undefined);
  await sleep(aroundMs);
  await broker.leave();
  const waiting: number[] = [];
  let underWay = 0;
  for (let look = 1; look <= looks; look++) {
    await sleep(broker.awayMs / looks);
    underWay = shop.underWay;
    waiting.push(await shop.backlog());
  }
  await broker.comeBack();
  const backAt = performance.now();
  const applied = await load;
  const { commits } = shop;
  return {
    changes: applied.length,
    commitP99Ms: quantile(commits, 0.99),
    longestCommitMs: quantile(commits, 1) ?? 0,
    ...{ waiting, underWay },
    caughtUpMs: Math.round(performance.now() - backAt),
  };
}

/** Exported for its test. */
export const intakeGoesOn = ({ changes, longestCommitMs }: Outage): Invariant => ({
  id: "intake-goes-on",
  checked: changes,
  violations:
    longestCommitMs <= lateMs
      ? []
      : [`a change was committed ${longestCommitMs} ms after it was due; ${lateMs} at most`],
});

/** Exported for its test. */
export const backlogIsTold = ({ waiting, underWay }: Outage): Invariant => {
  const told = waiting.at(-1) ?? 0;
  return {
    id: "backlog-is-told",
    checked: waiting.length,
    violations: told > 0 && told >= toldAtLeast * underWay ? [] : [`${told} events were told where ${underWay} waited`],
  };
};

interface OwnBroker extends AsyncDisposable {
  readonly bootstrap: string;
  freeze(): Promise<void>;
  kill(): Promise<void>;
  /** Thaws it, or starts it again at its address with what it had. */
  comeBack(): Promise<void>;
}

async function ownBroker(options: KafkaOptions): Promise<OwnBroker> {
  let running: KafkaServer | undefined = await startKafka(options);
  const { bootstrap, port } = running;
  return {
    bootstrap,
    freeze: async () => running?.pause(),
    async kill() {
      await running?.kill();
      running = undefined;
    },
    async comeBack() {
      running?.resume();
      running ??= await startKafka({ ...options, port });
    },
    [Symbol.asyncDispose]: async () => running?.kill(),
  };
}
