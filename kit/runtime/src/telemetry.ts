import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";
import { type Logger, silentLogger } from "./logger.ts";

/** All metrics of this process; what `/metrics` shows. */
export const metrics = new Registry();

let log: Logger = silentLogger();
let processIsMeasured = false;

/** From now on facts are logged here, and the process itself (memory, event loop, garbage collection) is measured. */
export function startTelemetry(logger: Logger): void {
  log = logger;
  if (processIsMeasured) return;
  processIsMeasured = true;
  collectDefaultMetrics({ register: metrics });
}

/** The metrics in Prometheus' text form. */
export const metricsPage = async (): Promise<{ contentType: string; body: string }> => ({
  contentType: metrics.contentType,
  body: await metrics.metrics(),
});

export interface FactSpecification<Label extends string> {
  /** Name of the Prometheus counter that the fact moves, `onsale_..._total`; absent: the fact is only logged. */
  readonly counter?: string;
  /** The fields that become labels of the counter. Each takes few values: never an id, a SKU or a person. */
  readonly labels?: readonly Label[];
  /** How loud the fact is in the log. Default `debug`, which costs nothing unless somebody listens. */
  readonly level?: "debug" | "info" | "warn" | "error";
}

/** Fields of one telling: `count` (default 1) is how many times the fact happened; an `error` is described without its values. */
export type FactFields<Label extends string> = { readonly count?: number } & {
  readonly [Name in Label]: string;
} & Readonly<Record<string, unknown>>;

/** Tells the fact: moves its counter and logs its fixed message with the fields. It never throws. */
export type Fact<Label extends string = never> = (
  ...fields: [Label] extends [never] ? [FactFields<Label>?] : [FactFields<Label>]
) => void;

/**
 * Defines one fact that a service tells about itself. They stand together in its `telemetry.ts`:
 *
 *     export const telemetry = {
 *       stockReserved: defineFact("stock reserved", { counter: "onsale_stock_reserved_total" }),
 *     };
 *     telemetry.stockReserved({ count: 500 });
 */
export function defineFact<const Label extends string = never>(
  message: string,
  specification: FactSpecification<Label> = {},
): Fact<Label> {
  const { counter, labels = [], level = "debug" } = specification;
  const counted = counter === undefined ? undefined : counterNamed(counter, message, labels);
  return (...[fields]) => {
    if (counted) counted.inc(labelsOf(labels, fields), fields?.count ?? 1);
    log[level]({ ...fields }, message);
  };
}

/** A span of time that is measured, in seconds as Prometheus wants it. */
export function defineDuration<const Label extends string = never>(
  name: string,
  help: string,
  labels: readonly Label[] = [],
) {
  const histogram =
    (metrics.getSingleMetric(name) as Histogram<Label> | undefined) ??
    new Histogram({ name, help, labelNames: labels, buckets: durationBucketsS, registers: [metrics] });
  return (milliseconds: number, values: Readonly<Record<Label, string>>): void =>
    histogram.observe(values, milliseconds / 1_000);
}

/** A value that is read when somebody looks at `/metrics`. A `read` that throws leaves the gauge as it was. */
export function defineGauge(name: string, help: string, read: () => number | Promise<number>): void {
  metrics.removeSingleMetric(name);
  new Gauge({
    name,
    help,
    registers: [metrics],
    async collect() {
      try {
        this.set(await read());
      } catch {
        // A scrape while the database is away must show the other metrics.
      }
    },
  });
}

/** The same for many values of one name, told apart by labels: what `read` leaves out this time is not shown. */
export function defineGauges<const Label extends string>(
  name: string,
  help: string,
  labels: readonly Label[],
  read: () => Promise<readonly { readonly labels: Readonly<Record<Label, string>>; readonly value: number }[]>,
): void {
  metrics.removeSingleMetric(name);
  new Gauge({
    name,
    help,
    labelNames: labels,
    registers: [metrics],
    async collect() {
      try {
        const values = await read();
        this.reset();
        for (const { labels: of, value } of values) this.set(of, value);
      } catch {
        // As above.
      }
    },
  });
}

// From a cached read (1 ms) to the longest deadline of an order (minutes).
const durationBucketsS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300];

function counterNamed<Label extends string>(name: string, help: string, labels: readonly Label[]): Counter<Label> {
  const before = metrics.getSingleMetric(name) as Counter<Label> | undefined;
  return before ?? new Counter({ name, help, labelNames: labels, registers: [metrics] });
}

const labelsOf = <Label extends string>(
  labels: readonly Label[],
  fields: Readonly<Record<string, unknown>> | undefined,
) => Object.fromEntries(labels.map((label) => [label, String(fields?.[label])])) as Record<Label, string>;
