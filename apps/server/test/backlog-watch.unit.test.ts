import type { Backlog } from "@onsale/messaging/kafka";
import { metricsPage } from "@onsale/runtime";
import { beforeEach, expect, test } from "vitest";
import { BacklogWatch, backlogBound, defineBacklogGauges } from "../src/backlog-watch.ts";

let waiting: Backlog;
let watch: BacklogWatch;

beforeEach(() => {
  waiting = { lane: "online", events: 0, oldestAgeMs: 0 };
  const relay = { backlog: async () => [waiting], drain: async () => undefined };
  watch = new BacklogWatch([{ service: "orders", relay }]);
  defineBacklogGauges(watch);
});

async function look(events: number): Promise<string> {
  waiting = { lane: "online", events, oldestAgeMs: events * 1_000 };
  await watch.look();
  return (await metricsPage()).body;
}

const sampleOf = (page: string, name: string): number =>
  Number(
    page
      .split("\n")
      .find((line) => line.startsWith(name))
      ?.split(" ")
      .at(-1),
  );

const growth = "onsale_relay_backlog_growth_events_per_second";

test("what was there at the first look is no growth; more is, and less is the contrary", async () => {
  expect(sampleOf(await look(100), growth)).toBe(0);
  expect(sampleOf(await look(200), growth)).toBeGreaterThan(0);
  const page = await look(50);
  expect(sampleOf(page, growth)).toBeLessThan(0);
  expect(sampleOf(page, "onsale_relay_backlog_events{")).toBe(50);
  expect(sampleOf(page, "onsale_relay_backlog_oldest_age_seconds")).toBe(50);
});

test("a person is called once when it passes the bound, and again when it comes back there", async () => {
  const calls = async (events: number) => sampleOf(await look(events), "onsale_relay_backlog_beyond_bound_total") || 0;
  expect(await calls(backlogBound)).toBe(0);
  expect(await calls(backlogBound + 1)).toBe(1);
  expect(await calls(backlogBound + 500)).toBe(1);
  expect(await calls(3)).toBe(1);
  const page = await look(backlogBound + 1);
  expect(sampleOf(page, "onsale_relay_backlog_beyond_bound_total")).toBe(2);
  expect(sampleOf(page, "onsale_relay_backlog_bound_events")).toBe(backlogBound);
});
