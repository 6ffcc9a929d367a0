/** What operators do with events by hand, over all services of a server: the doors, the job behind them, the gauges. */

import type { HttpServer } from "@onsale/http";
import { type ReaderLag, readerLags, stepRedrive } from "@onsale/messaging/operations";
import { defineGauges, type RecurringWork } from "@onsale/runtime";
import { deadLetterRoutes } from "./dead-letter-routes.ts";
import { eventRoutes } from "./event-routes.ts";
import { type OperatedService, OperatedServices } from "./operated-services.ts";
import { redriveRoutes } from "./redrive-routes.ts";
import { streamRoutes } from "./stream-routes.ts";
import { taskRoutes } from "./task-routes.ts";
import { telemetry } from "./telemetry.ts";

/** Adds the doors. */
export function addOperations(http: HttpServer, services: readonly OperatedService[]): void {
  const operated = new OperatedServices(services);
  deadLetterRoutes(http, operated);
  redriveRoutes(http, operated);
  streamRoutes(http, operated);
  eventRoutes(http, operated);
  taskRoutes(http, operated);
}

// Twice a second fifty letters: the highest rate that may be asked for.
const stepEveryMs = 500;

/** Works redrives off, also those that another process began. */
export const redriveWork = (services: readonly OperatedService[]): RecurringWork[] =>
  services.map(({ name, database }) => ({
    name: `${name}.redrive`,
    everyMs: stepEveryMs,
    async run() {
      const step = await stepRedrive(database);
      if (step && step.redriven > 0)
        telemetry.lettersRedriven({ reader: step.reader, mode: step.mode, count: step.redriven });
    },
  }));

/** What is parked, dead and waits, and how far each stream is behind, for whoever scrapes the metrics. */
export function defineOperationGauges(services: readonly OperatedService[]): void {
  const lags = lookingOnce(async () =>
    (await Promise.all(services.map(({ database, readers }) => readerLags(database, readers)))).flat(),
  );
  const perReader = (name: string, help: string, value: (lag: ReaderLag) => number) =>
    defineGauges(name, help, ["reader"], async () =>
      (await lags()).map((lag) => ({ labels: { reader: lag.reader }, value: value(lag) })),
    );
  perReader("onsale_parked_keys", "keys that wait for a retry or for a person", ({ parkedKeys }) => parkedKeys);
  perReader("onsale_dead_letters", "events that wait for a person", ({ deadLetters }) => deadLetters);
  perReader("onsale_waiting_events", "events that wait behind a parked key", ({ waitingEvents }) => waitingEvents);
  defineGauges(
    "onsale_stream_behind_events",
    "events that are not applied, counted up to 10,000",
    ["reader", "source", "lane", "slot"],
    async () =>
      (await lags())
        .flatMap(({ streams }) => streams)
        .flatMap(({ reader, source, lane, slot, behind }) =>
          behind === null ? [] : [{ labels: { reader, source, lane, slot: String(slot) }, value: behind }],
        ),
  );
}

/** Milliseconds for which one look serves all gauges of a scrape. */
const oneScrapeMs = 1_000;

function lookingOnce<Result>(look: () => Promise<Result>): () => Promise<Result> {
  let last: { readonly at: number; readonly result: Promise<Result> } | undefined;
  return () => {
    if (!last || performance.now() - last.at > oneScrapeMs) last = { at: performance.now(), result: look() };
    return last.result;
  };
}
