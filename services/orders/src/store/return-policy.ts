import type { BuyerId } from "@onsale/contracts/ids";
import { as, boolean, instant, integer, nullable, type Queryable, sql, uuid } from "@onsale/postgres";

/** How the shop takes returns. */
export interface ReturnPolicy {
  /** Whether somebody looks at what comes back before it is paid for. */
  readonly inspect: boolean;
  /** Days after which a return that nobody has looked at lapses. */
  readonly lapseAfterDays: number;
}

const columns = {
  inspect: boolean,
  lapseAfterDays: integer,
  version: integer,
  changedBy: nullable(as<BuyerId>(uuid)),
  changedAt: instant,
} as const;

const readPolicySql = sql("orders.read-return-policy", { takes: [], gives: columns })`
  select inspect, lapse_after_days as "lapseAfterDays", version, changed_by as "changedBy", changed_at as "changedAt"
  from orders.return_policy order by version desc limit 1`;

export async function readPolicy(queryable: Queryable) {
  const [policy] = await queryable.query(readPolicySql, []);
  if (!policy) throw new Error("There is no policy of returns; a shop begins with one.");
  return policy;
}

const insertPolicySql = sql("orders.insert-return-policy", {
  takes: [boolean, integer, as<BuyerId>(uuid)],
  gives: columns,
})`
  insert into orders.return_policy (inspect, lapse_after_days, changed_by) values ($1, $2, $3)
  returning inspect, lapse_after_days as "lapseAfterDays", version, changed_by as "changedBy", changed_at as "changedAt"`;

/** The policy from now on. What was asked for before goes by the policy of then. */
export async function insertPolicy(queryable: Queryable, policy: ReturnPolicy & { readonly changedBy: BuyerId }) {
  const [inserted] = await queryable.query(insertPolicySql, [policy.inspect, policy.lapseAfterDays, policy.changedBy]);
  if (!inserted) throw new Error("The policy was not written.");
  return inserted;
}
