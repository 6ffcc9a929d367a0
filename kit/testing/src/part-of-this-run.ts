import { inject } from "vitest";
import "./vitest/provided.ts";

const names = { postgres: "PostgreSQL", "postgres-tcp": "PostgreSQL", kafka: "Kafka", redis: "Redis" } as const;

/** Where a part that all tests of the run share is to be reached; it starts when it is first asked for. */
export async function partOfThisRun(part: keyof typeof names): Promise<string> {
  const answer = await fetch(`${inject("partsOfThisRun")}/${part}`);
  const text = await answer.text();
  if (!answer.ok) throw new Error(`The ${names[part]} of this run did not start: ${text}`);
  return text;
}
