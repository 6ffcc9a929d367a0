/** Locations, and goods on their way between them. */

import { answered, type HttpServer, idempotencyOf, idempotently, type ProblemError, problem } from "@onsale/http";
import type { ServiceContext } from "@onsale/runtime";
import { errors } from "./errors.ts";
import type { InventoryPorts } from "./ports.ts";
import {
  LocationPath,
  Locations,
  NamedLocation,
  NewArrival,
  NewLocation,
  NewTransfer,
  Transfer,
  TransferPath,
} from "./stock-schemas.ts";
import { locationsOf, saveLocation } from "./store/place.ts";
import { arrivalOf, transferOf } from "./store/transfer.ts";
import { type Arrived, receiveTransfer, type Sent, sendGoods } from "./transfer-goods.ts";

type Context = ServiceContext<InventoryPorts>;

export function locationRoutes(http: HttpServer, context: Context): void {
  naming(http, context);
  sending(http, context);
  arriving(http, context);
}

function naming(http: HttpServer, { database }: Context): void {
  http.put(
    "/v1/admin/locations/:location",
    {
      config: { access: "operator" },
      schema: {
        summary: "Names a location, or changes its rank.",
        params: LocationPath,
        body: NewLocation,
        response: { 200: NamedLocation },
      },
    },
    async ({ params: { location }, body: { rank } }) => {
      await saveLocation(database, location, rank);
      return { location, rank };
    },
  );

  http.get(
    "/v1/admin/locations",
    {
      config: { access: "operator" },
      schema: { summary: "The shop's locations, the lowest rank first.", response: { 200: Locations } },
    },
    async () => ({ locations: await locationsOf(database) }),
  );
}

function sending(http: HttpServer, { database, ports }: Context): void {
  http.post(
    "/v1/admin/stock-transfers",
    {
      config: { access: "operator", idempotent: true },
      schema: {
        summary: "Sends goods from one location to another.",
        description: "Nobody can buy them until they have arrived.",
        body: NewTransfer,
        response: { 201: Transfer },
      },
    },
    async (request, reply) => {
      const { note = null, ...wish } = request.body;
      const transfer = { ...wish, note, sentBy: request.person.id, cause: request.cause };
      const answer = await idempotently(database, idempotencyOf(request), async (tx) => {
        const sent = await sendGoods(tx, transfer, ports);
        if (sent.kind !== "sent") throw sendingProblem(sent);
        const { transferId, sku, from, to, units } = sent.transfer;
        return { status: 201, body: { transferId, sku, from, to, units, arrivedUnits: null } };
      });
      return answered(reply, answer);
    },
  );
}

function sendingProblem(refusal: Exclude<Sent, { readonly kind: "sent" }>): ProblemError {
  switch (refusal.kind) {
    case "same-location":
      return problem(422, errors.TRANSFER_SAME_LOCATION);
    case "unknown-location":
      return problem(422, errors.LOCATION_NOT_FOUND);
    case "unknown-sku":
      return problem(404, errors.STOCK_NOT_FOUND);
    case "named-units":
      return problem(409, errors.UNITS_HAVE_NAMES);
    case "too-many":
      return problem(409, errors.TRANSFER_EXCEEDS_STOCK, { detail: `${refusal.there} are there.` });
    default:
      return refusal satisfies never;
  }
}

function arriving(http: HttpServer, { database }: Context): void {
  http.post(
    "/v1/admin/stock-transfers/:transferId/arrival",
    {
      config: { access: "operator", idempotent: true },
      schema: {
        summary: "Says how much of a transfer arrived.",
        description: "What did not is lost. 200 where the same was said before.",
        params: TransferPath,
        body: NewArrival,
        response: { 200: Transfer, 201: Transfer },
      },
    },
    async (request, reply) => {
      const { transferId } = request.params;
      const { note = null, units: arrivedUnits } = request.body;
      const answer = await idempotently(database, idempotencyOf(request), async (tx) => {
        const report = { transferId, units: arrivedUnits, note, receivedBy: request.person.id, cause: request.cause };
        const arrived = await receiveTransfer(tx, report);
        if (!("transfer" in arrived) || arrived.kind === "too-many") throw arrivalProblem(arrived);
        const { sku, from, to, units } = arrived.transfer;
        return {
          status: arrived.kind === "arrived" ? 201 : 200,
          body: { transferId, sku, from, to, units, arrivedUnits },
        };
      });
      return answered(reply, answer);
    },
  );

  http.get(
    "/v1/admin/stock-transfers/:transferId",
    {
      config: { access: "operator" },
      schema: { summary: "One transfer.", params: TransferPath, response: { 200: Transfer } },
    },
    async ({ params: { transferId } }) => {
      const [transfer, arrival] = await Promise.all([
        transferOf(database, transferId),
        arrivalOf(database, transferId),
      ]);
      if (!transfer) throw problem(404, errors.TRANSFER_NOT_FOUND);
      const { sku, from, to, units } = transfer;
      return { transferId, sku, from, to, units, arrivedUnits: arrival?.units ?? null };
    },
  );
}

function arrivalProblem(refusal: Exclude<Arrived, { readonly kind: "arrived" | "repeated" }>): ProblemError {
  switch (refusal.kind) {
    case "unknown-transfer":
      return problem(404, errors.TRANSFER_NOT_FOUND);
    case "contradicted":
      return problem(409, errors.ARRIVAL_CONTRADICTED);
    case "too-many":
      return problem(422, errors.ARRIVAL_EXCEEDS_TRANSFER, { detail: `${refusal.transfer.units} were sent.` });
    default:
      return refusal satisfies never;
  }
}
