import type { Database } from "@onsale/postgres";
import { Type } from "typebox";
import { defineEvent, fact } from "../../src/events/event.ts";
import { publish } from "../../src/outbox/publish.ts";

export const opened = defineEvent("door.opened.v1", {
  key: "id",
  lanes: { online: true },
  schema: Type.Object({ id: Type.String(), step: Type.Integer() }),
  sample: { id: "d", step: 1 },
});

export const doors: readonly string[] = Array.from({ length: 20 }, (_, index) => `door-${index}`);

/** Publishes step after step of every door, each step in a transaction of its own. */
export async function openDoors(owner: Database, steps: readonly number[]): Promise<void> {
  for (const step of steps) {
    const facts = doors.map((id) =>
      fact(opened, { data: { id, step }, sequence: step, cause: { correlationId: "t" } }),
    );
    await owner.transaction((tx) => publish(tx, facts));
  }
}
