import { afterAll, beforeAll, describe, test } from "vitest";
import { type Behaviour, behaviours } from "./behaviours.ts";
import { type House, openHouse } from "./house.ts";
import type { LogUnderTest } from "./logs.ts";
import { Stage } from "./stage.ts";

/**
 * Plays behaviours, by default all, on every one of these logs, each on a database of its own. A behaviour waits most of
 * its time, so some are played at once.
 */
export function conform(logs: readonly LogUnderTest[], played: readonly Behaviour[] = behaviours): void {
  let house: House;
  beforeAll(async () => {
    [house] = await Promise.all([openHouse(), ...logs.map((log) => log.isThere?.())]);
  }, 180_000);
  afterAll(() => house.close());

  describe.each(logs)("$name", { concurrent: true }, (log) => {
    for (const { name, play } of played) {
      test(name, async () => {
        const place = await house.place();
        const stage = new Stage(place, await log.open(place));
        try {
          await play(stage);
        } catch (error) {
          if (error instanceof Error && stage.log.faults.length > 0)
            error.message += ` (the relay: ${stage.log.faults.slice(-3)})`;
          throw error;
        } finally {
          await stage.close();
        }
      }, 120_000);
    }
  });
}
