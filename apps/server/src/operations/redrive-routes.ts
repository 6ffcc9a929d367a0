import { answered, type HttpServer, idempotencyOf, idempotently } from "@onsale/http";
import { cancelRedrive, countLetters, findRedrive, latestRedrives, startRedrive } from "@onsale/messaging/operations";
import { Type } from "typebox";
import { orRefuse, refusal } from "./errors.ts";
import type { OperatedServices } from "./operated-services.ts";
import { Cause, Count, Key, Mode, Moment, NullableText, ReaderName, Reason, TypeName, Uuid } from "./schemas.ts";

const redriveFields = {
  redriveId: Uuid,
  reader: ReaderName,
  type: NullableText,
  cause: NullableText,
  key: NullableText,
  mode: Mode,
  perSecond: Type.Number(),
  counted: Type.Integer({ description: "Letters that fitted when it was started." }),
  redriven: Count,
  state: Type.Union([Type.Literal("running"), Type.Literal("done"), Type.Literal("cancelled")]),
  startedBy: Type.String(),
  startedAt: Moment,
  endedAt: NullableText,
};
const Redrive = Type.Object(redriveFields);

// A step of the job moves fifty and comes twice a second; each letter is a handful of statements.
const PerSecond = Type.Number({ minimum: 0.1, maximum: 100, description: "Letters put back a second." });

const inPath = Type.Object({ reader: ReaderName, redriveId: Uuid });

/** Redrives of many letters: counted first, then worked off so many a second, until they are done or cancelled. */
export function redriveRoutes(http: HttpServer, services: OperatedServices): void {
  http.post(
    "/v1/admin/redrives",
    {
      config: { access: "operator", idempotent: true },
      schema: {
        summary: "Counts the dead letters that fit, or puts them back at a rate.",
        description: "200 with the count where dryRun is true; 202 with the redrive that has begun otherwise.",
        body: Type.Object({
          reader: ReaderName,
          type: Type.Optional(TypeName),
          cause: Type.Optional(Cause),
          key: Type.Optional(Key),
          mode: Mode,
          perSecond: PerSecond,
          reason: Reason,
          dryRun: Type.Optional(Type.Boolean()),
        }),
        response: { 200: Type.Object({ counted: Count }), 202: Redrive },
      },
    },
    async (request, reply) => {
      const { dryRun, ...wish } = request.body;
      const { service } = services.ofReader(wish.reader);
      if (dryRun === true) return { counted: await countLetters(service.database, wish) };
      const answer = await idempotently(service.database, idempotencyOf(request), async (tx) => {
        const started = await startRedrive(tx, { ...wish, operator: request.person.id });
        if (!started) throw refusal("NOTHING_FITS", `${wish.reader} has no dead letter that fits.`);
        return { status: 202, body: started };
      });
      return answered(reply, answer);
    },
  );

  http.get(
    "/v1/admin/redrives",
    {
      config: { access: "operator" },
      schema: {
        summary: "The redrives that were begun last.",
        response: { 200: Type.Object({ redrives: Type.Array(Redrive) }) },
      },
    },
    async () => {
      const redrives = await Promise.all(services.all.map(({ database }) => latestRedrives(database, shownRedrives)));
      return { redrives: redrives.flat().sort((a, b) => (a.startedAt < b.startedAt ? 1 : -1)) };
    },
  );

  http.get(
    "/v1/admin/redrives/:reader/:redriveId",
    {
      config: { access: "operator" },
      schema: { summary: "How far a redrive is.", params: inPath, response: { 200: Redrive } },
    },
    async ({ params: { reader, redriveId } }) => {
      const redrive = await findRedrive(services.ofReader(reader).service.database, redriveId);
      if (redrive?.reader !== reader) throw refusal("REDRIVE_NOT_FOUND", `${reader} has no redrive ${redriveId}.`);
      return redrive;
    },
  );

  http.post(
    "/v1/admin/redrives/:reader/:redriveId/cancel",
    {
      config: { access: "operator", idempotent: true },
      schema: {
        summary: "Stops a redrive; what it has put back stays so.",
        params: inPath,
        body: Type.Object({ reason: Type.Optional(Reason) }),
        response: { 200: Redrive },
      },
    },
    async (request, reply) => {
      const { params, body, person } = request;
      const { service } = services.ofReader(params.reader);
      const answer = await idempotently(service.database, idempotencyOf(request), async (tx) => {
        const cancel = { redriveId: params.redriveId, ...body, operator: person.id };
        return { status: 200, body: orRefuse(await cancelRedrive(tx, cancel)).redrive };
      });
      return answered(reply, answer);
    },
  );
}

/** Of each service. */
const shownRedrives = 20;
