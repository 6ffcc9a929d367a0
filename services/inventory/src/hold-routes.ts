/** Holds that a buyer takes before there is an order. */

import { Intake, IntakeFullError } from "@onsale/batch";
import type { Sku } from "@onsale/contracts/ids";
import type { Units } from "@onsale/contracts/money";
import {
  answered,
  type HttpServer,
  httpErrors,
  idempotencyOf,
  keyInProgress,
  keyReused,
  type ProblemError,
  type ProblemPart,
  problem,
} from "@onsale/http";
import { isLockTimeout } from "@onsale/postgres";
import type { ServiceContext } from "@onsale/runtime";
import type { Static } from "typebox";
import { errors } from "./errors.ts";
import { giveUpHold } from "./give-up-hold.ts";
import type { InventoryPorts } from "./ports.ts";
import type { Refused, UnitName } from "./stock.ts";
import { BuyerHold, HoldPath, Holds, NewHolds } from "./stock-schemas.ts";
import { buyerHold } from "./store/allocation.ts";
import { type HoldRequest, type HoldsOutcome, takeHolds } from "./take-holds.ts";
import { telemetry } from "./telemetry.ts";

type Context = ServiceContext<InventoryPorts>;
type Lines = Static<typeof NewHolds>["lines"];

export function holdRoutes(http: HttpServer, context: Context): void {
  taking(http, context);
  looking(http, context);
  givingUp(http, context);
}

// Long enough to fill in a form and to find a card, short enough that what is abandoned is soon for sale again.
const defaultHoldSeconds = 600;

function taking(http: HttpServer, { database, ports }: Context): void {
  const intake = new Intake<HoldRequest, HoldsOutcome>({
    decide: (requests) => database.transaction((tx) => takeHolds(tx, requests, ports)),
  });
  http.post(
    "/v1/holds",
    {
      config: { access: "buyer", idempotent: true },
      schema: {
        summary: "Sets units aside before there is an order.",
        description:
          "All of them or none. An order that names the holds takes them over (`holdIds`); until then they can be given " +
          "up, and end by themselves. Units that have names are asked for by name.",
        body: NewHolds,
        response: { 201: Holds },
      },
    },
    async (request, reply) => {
      const { lines, holdSeconds = defaultHoldSeconds } = request.body;
      const wanted = wantedOf(lines);
      const outcome = await intake
        .submit({
          ...{ ...wanted, claim: idempotencyOf(request), buyerId: request.person.id },
          ...{ holdMs: holdSeconds * 1_000, cause: request.cause },
        })
        .catch((error) => {
          throw intakeProblem(error);
        });
      if (outcome.kind === "key-reused") throw keyReused();
      if (outcome.kind === "refused") throw refusalProblem(outcome, lines);
      return answered(reply, { status: 201, body: outcome.answer as Static<typeof Holds>, replayed: outcome.replayed });
    },
  );
}

/** @throws {ProblemError} where a SKU stands in two lines: which of them a refusal is about could not be said. */
function wantedOf(lines: Lines): Pick<HoldRequest, "units" | "names"> {
  const units = new Map<Sku, Units>();
  const names = new Map<Sku, readonly UnitName[]>();
  for (const [index, line] of lines.entries()) {
    if (units.has(line.sku))
      throw problem(422, httpErrors.VALIDATION_FAILED, {
        errors: [{ pointer: `/lines/${index}/sku`, in: "body", detail: `${line.sku} stands in another line, too.` }],
      });
    units.set(line.sku, "units" in line ? line.units.length : line.quantity);
    if ("units" in line) names.set(line.sku, line.units);
  }
  return { units, names };
}

/** A failure of the intake as a problem where it is one; anything else is passed on. */
function intakeProblem(error: unknown): unknown {
  if (error instanceof IntakeFullError)
    return problem(503, httpErrors.OVERLOADED, { retryAfterSeconds: 1, cause: error });
  return isLockTimeout(error) ? keyInProgress(error) : error;
}

// Enough to mend a wish by.
const partsTold = 20;

function refusalProblem(
  { reason, skus, units }: Pick<Refused, "reason" | "skus" | "units">,
  lines: Lines,
): ProblemError {
  telemetry.holdsRefused({ reason });
  // A wish for holds brings none.
  const code = reason === "HOLD_EXPIRED" || reason === "HOLD_MISMATCH" ? "HOLD_NOT_FOUND" : reason;
  const lineOf = (sku: Sku) => lines.findIndex((line) => line.sku === sku);
  const parts = units.length > 0 ? units.map(unitPart) : skus.map(skuPart);
  return problem(code === "UNKNOWN_SKU" || code === "UNKNOWN_UNIT" ? 422 : 409, errors[code], {
    errors: parts.slice(0, partsTold),
  });

  function unitPart({ sku, unit }: { sku: Sku; unit: UnitName }): ProblemPart {
    const index = lineOf(sku);
    const line = lines[index];
    const place = line && "units" in line ? line.units.indexOf(unit) : 0;
    const detail = reason === "UNITS_TAKEN" ? `${unit} is taken.` : `${sku} has no unit ${unit}.`;
    return { pointer: `/lines/${index}/units/${place}`, in: "body", detail };
  }

  function skuPart(sku: Sku): ProblemPart {
    return { pointer: `/lines/${lineOf(sku)}`, in: "body", detail: `${sku}: ${errors[code].title}` };
  }
}

function looking(http: HttpServer, { database }: Context): void {
  http.get(
    "/v1/holds/:holdId",
    {
      config: { access: "buyer" },
      schema: { summary: "One hold of yours.", params: HoldPath, response: { 200: BuyerHold } },
    },
    async ({ params: { holdId }, person }) => {
      const hold = await buyerHold(database, holdId);
      if (hold?.buyerId !== person.id || hold.expiresAt === null) throw problem(404, errors.HOLD_NOT_FOUND);
      return { holdId, status: hold.state, expiresAt: hold.expiresAt };
    },
  );
}

function givingUp(http: HttpServer, { database }: Context): void {
  http.delete(
    "/v1/holds/:holdId",
    {
      config: { access: "buyer" },
      schema: {
        summary: "Gives up a hold of yours.",
        description: "Once or often: what is over stays so.",
        params: HoldPath,
      },
    },
    async ({ params: { holdId }, person, cause }, reply) => {
      const givenUp = await database.transaction((tx) => giveUpHold(tx, { holdId, buyerId: person.id, cause }));
      if (givenUp === "not-found") throw problem(404, errors.HOLD_NOT_FOUND);
      if (givenUp === "attached") throw problem(409, errors.HOLD_ATTACHED);
      return reply.code(204).send();
    },
  );
}
