/** Units that have names. */

import { answered, type HttpServer, idempotencyOf, idempotently, type ProblemPart, problem } from "@onsale/http";
import type { ServiceContext } from "@onsale/runtime";
import { errors } from "./errors.ts";
import { nameUnits } from "./name-units.ts";
import type { InventoryPorts } from "./ports.ts";
import { NewUnits, Receipt, SkuInPath, UnitPage, UnitPageWish } from "./stock-schemas.ts";
import { listUnits } from "./store/unit.ts";

type Context = ServiceContext<InventoryPorts>;

export function unitRoutes(http: HttpServer, context: Context): void {
  naming(http, context);
  listing(http, context);
}

// Enough to mend a list by.
const partsTold = 20;

function naming(http: HttpServer, { database, ports }: Context): void {
  http.post(
    "/v1/admin/unit-pools",
    {
      config: { access: "operator", idempotent: true },
      schema: {
        summary: "Puts units that have names on the shelf: the seats of a hall.",
        description: "The first make the pool, others may follow. 200 where the receipt number came before.",
        body: NewUnits,
        response: { 200: Receipt, 201: Receipt },
      },
    },
    async (request, reply) => {
      const { sku, units: names, receiptNumber = null } = request.body;
      const delivery = { sku, names, receiptNumber, receivedBy: request.person.id, cause: request.cause };
      const answer = await idempotently(database, idempotencyOf(request), async (tx) => {
        const named = await nameUnits(tx, delivery, ports);
        if (named.kind === "counted") throw problem(409, errors.UNITS_HAVE_NO_NAMES);
        if (named.kind === "number-reused") throw problem(409, errors.RECEIPT_NUMBER_REUSED);
        if (named.kind === "units-exist")
          throw problem(409, errors.UNITS_EXIST, { errors: partsOf(named.names, names) });
        return { status: named.kind === "named" ? 201 : 200, body: named.receipt };
      });
      return answered(reply, answer);
    },
  );
}

const partsOf = (names: readonly string[], all: readonly string[]): ProblemPart[] =>
  names.slice(0, partsTold).map((name) => ({
    ...{ pointer: `/units/${all.indexOf(name)}`, in: "body" as const },
    detail: `${name} is there already.`,
  }));

const defaultPage = 200;

function listing(http: HttpServer, { database }: Context): void {
  http.get(
    "/v1/stock/:sku/units",
    {
      config: { access: "public" },
      schema: {
        summary: "The units of a SKU that have names, and which of them are free.",
        params: SkuInPath,
        querystring: UnitPageWish,
        response: { 200: UnitPage },
      },
    },
    async ({ params: { sku }, query: { limit = defaultPage, after = 0 } }) => {
      const rows = await listUnits(database, sku, after, limit + 1);
      const page = rows.slice(0, limit);
      return {
        units: page.map(({ unit, state }) => ({ unit, state })),
        next: rows.length > limit ? (page.at(-1)?.rank ?? null) : null,
      };
    },
  );
}
