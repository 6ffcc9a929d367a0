/** What PostgreSQL would do with a statement, and whether that grows with the table. */

import { composedSql, type Database, json, type Statement } from "@onsale/postgres";

/** One node of a plan as EXPLAIN tells it, with what matters here. */
export interface PlanNode {
  readonly "Node Type": string;
  readonly "Relation Name"?: string;
  readonly "Index Name"?: string;
  readonly "Index Cond"?: string;
  readonly Plans?: readonly PlanNode[];
}

let prepared = 0;

/**
 * The plan that this database's connections keep for the statement: made with their settings, for any parameters. The
 * statement is prepared and not run.
 */
export async function planOf(database: Database, { text, takes }: Statement): Promise<PlanNode> {
  const name = `explained_${++prepared}`;
  const nulls = takes.map(() => "null").join(", ");
  await database.execute(
    composedSql(`${name}.prepare`, { takes: [], gives: {}, text: `prepare ${name} as ${text}` }),
    [],
  );
  const [row] = await database.query(
    composedSql(`${name}.explain`, {
      takes: [],
      gives: { "QUERY PLAN": json<readonly { Plan: PlanNode }[]>() },
      text: `explain (format json) execute ${name}${nulls && `(${nulls})`}`,
    }),
    [],
  );
  await database.execute(composedSql(`${name}.deallocate`, { takes: [], gives: {}, text: `deallocate ${name}` }), []);
  const [plan] = row?.["QUERY PLAN"] ?? [];
  if (!plan) throw new Error("EXPLAIN gave no plan.");
  return plan.Plan;
}

/**
 * The tables that a plan reads from end to end: by a sequential scan, or through an index without a condition. Under a
 * limit the latter stops after the first rows, which is how the oldest of a queue are found.
 */
export function readWhole(plan: PlanNode, isLimited = false): string[] {
  const limited = isLimited || plan["Node Type"] === "Limit";
  const inner = (plan.Plans ?? []).flatMap((child) => readWhole(child, limited));
  const table = plan["Relation Name"];
  const isWhole =
    plan["Node Type"] === "Seq Scan" ||
    (/^Index (Only )?Scan$/.test(plan["Node Type"]) && plan["Index Cond"] === undefined && !limited);
  return table !== undefined && isWhole ? [table, ...inner] : inner;
}
