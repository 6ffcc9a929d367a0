import type { BuyerId } from "@onsale/contracts/ids";
import {
  answered,
  type HttpServer,
  idempotencyOf,
  idempotently,
  type Person,
  type ProblemError,
  problem,
} from "@onsale/http";
import type { Static } from "typebox";
import { errors } from "./errors.ts";
import { type Granted, giveDailyGrant } from "./give-daily-grant.ts";
import { operatorRoutes } from "./operator-routes.ts";
import type { WalletContext as Context } from "./ports.ts";
import { type Redeemed, redeemVoucher } from "./redeem-voucher.ts";
import {
  EntryPage,
  EntryWish,
  GrantGiven,
  GrantWish,
  Redemption,
  RedemptionWish,
  soonDays,
  WalletView,
} from "./schemas.ts";
import { balancesOf } from "./store/balance.ts";
import { entriesOf } from "./store/entry.ts";
import { telemetry } from "./telemetry.ts";
import { unlessBusy } from "./unless-busy.ts";

export function routes(http: HttpServer, context: Context): void {
  reading(http, context);
  granting(http, context);
  redeeming(http, context);
  operatorRoutes(http, context);
}

function reading(http: HttpServer, { database }: Context): void {
  http.get(
    "/v1/wallet",
    {
      config: { access: "buyer" },
      schema: { summary: "Your points.", response: { 200: WalletView } },
    },
    async ({ person }) => ({ balances: await balancesOf(database, holder(person), soonDays) }),
  );

  http.get(
    "/v1/wallet/entries",
    {
      config: { access: "buyer" },
      schema: {
        summary: "What happened to your points, the newest first.",
        querystring: EntryWish,
        response: { 200: EntryPage },
      },
    },
    async ({ person, query: { limit = 20, after } }) => {
      const entries = await entriesOf(database, holder(person), { before: after ?? null, limit: limit + 1 });
      const page = entries.slice(0, limit);
      return { entries: page, next: entries.length > limit ? (page.at(-1)?.position ?? null) : null };
    },
  );
}

/** A guest's id is thrown away with the token: what was in a wallet of theirs nobody would ever see again. */
function holder(person: Person): BuyerId {
  if (person.role === "guest") throw problem(403, errors.GUEST_HAS_NO_WALLET);
  return person.id;
}

function granting(http: HttpServer, { database }: Context): void {
  http.post(
    "/v1/wallet/daily-grants",
    {
      config: { access: "buyer", idempotent: true },
      schema: {
        summary: "Take the day's grant.",
        description: "Once per grant and calendar day of its time zone, whatever the Idempotency-Key.",
        body: GrantWish,
        response: { 201: GrantGiven },
      },
    },
    async (request, reply) => {
      const personId = holder(request.person);
      const work = idempotently(database, idempotencyOf(request), async (tx) => ({
        status: 201,
        body: given(await giveDailyGrant(tx, personId, request.body.name)),
      }));
      return answered(reply, await unlessBusy(work));
    },
  );
}

function given(outcome: Granted): Static<typeof GrantGiven> {
  switch (outcome.kind) {
    case "not-found":
      throw problem(404, errors.GRANT_NOT_FOUND);
    case "taken-today":
      throw problem(409, errors.GRANT_TAKEN_TODAY, { detail: `You had it on ${outcome.day}.` });
    case "too-large":
      throw problem(422, errors.BALANCE_TOO_LARGE);
    case "granted": {
      const { name, day, currency, amountMinor, expiresAt, availableMinor } = outcome;
      return { name, day, currency, amountMinor, expiresAt, availableMinor };
    }
    default:
      return outcome satisfies never;
  }
}

function redeeming(http: HttpServer, { database }: Context): void {
  http.post(
    "/v1/wallet/vouchers/redeem",
    {
      config: { access: "buyer", idempotent: true },
      schema: {
        summary: "Put a gift voucher, or a part of it, into your wallet.",
        description: "Without `amountMinor` all that is left of it. The points end when the voucher does.",
        body: RedemptionWish,
        response: { 201: Redemption },
      },
    },
    async (request, reply) => {
      const { code, amountMinor = null } = request.body;
      const wish = { personId: holder(request.person), code, amountMinor };
      const work = idempotently(database, idempotencyOf(request), async (tx) => ({
        status: 201,
        body: redeemed(await redeemVoucher(tx, wish)),
      }));
      return answered(reply, await unlessBusy(work));
    },
  );
}

function redeemed(outcome: Redeemed): Static<typeof Redemption> {
  if (outcome.kind === "redeemed") {
    const { kind: _, ...redemption } = outcome;
    return redemption;
  }
  const refusal = refusalOf(outcome);
  telemetry.voucherRefused({ code: refusal.definition.code });
  throw refusal;
}

function refusalOf(outcome: Exclude<Redeemed, { kind: "redeemed" }>): ProblemError {
  switch (outcome.kind) {
    case "not-found":
      return problem(404, errors.VOUCHER_NOT_FOUND);
    case "ended":
      return problem(409, errors.VOUCHER_ENDED);
    case "empty":
      return problem(409, errors.VOUCHER_EMPTY);
    case "has-less":
      return problem(422, errors.VOUCHER_HAS_LESS, { detail: `${outcome.remainingMinor} are left of it.` });
    case "too-large":
      return problem(422, errors.BALANCE_TOO_LARGE);
    default:
      return outcome satisfies never;
  }
}
