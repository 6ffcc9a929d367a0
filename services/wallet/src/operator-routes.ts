import type { BuyerId } from "@onsale/contracts/ids";
import { answered, type HttpServer, idempotencyOf, idempotently, problem } from "@onsale/http";
import { databaseNow } from "@onsale/postgres";
import { type Static, Type } from "typebox";
import { type Credited, creditWallet } from "./credit-wallet.ts";
import { isTimeZone } from "./daily-grant.ts";
import { errors } from "./errors.ts";
import { issueVouchers, voidVouchers } from "./issue-vouchers.ts";
import { type Bearer, borneByTheShop, isWhole, splitAmong } from "./lot.ts";
import type { WalletContext as Context } from "./ports.ts";
import {
  AccountPath,
  AccountWallet,
  BatchPath,
  CreditGiven,
  CreditWish,
  Grant,
  GrantTerms,
  GrantWish,
  OrderPath,
  OrderPointsView,
  soonDays,
  VoucherBatchView,
  VouchersIssued,
  VoucherWish,
} from "./schemas.ts";
import { balancesOf, lotsOf } from "./store/balance.ts";
import { setDailyGrant } from "./store/daily-grant.ts";
import { isHolder } from "./store/holder.ts";
import { readOrderPoints } from "./store/order-points.ts";
import { readVoucherBatch } from "./store/voucher.ts";
import { unlessBusy } from "./unless-busy.ts";
import { newVoucherCode } from "./voucher.ts";

export function operatorRoutes(http: HttpServer, context: Context): void {
  crediting(http, context);
  looking(http, context);
  grants(http, context);
  vouchers(http, context);
}

function crediting(http: HttpServer, context: Context): void {
  const { database, ports } = context;
  http.post(
    "/v1/admin/wallets/:accountId/credits",
    {
      config: { access: "operator", idempotent: true },
      schema: {
        summary: "Give somebody points.",
        params: AccountPath,
        body: CreditWish,
        response: { 201: CreditGiven },
      },
    },
    async (request, reply) => {
      const { accountId } = request.params;
      const { currency, amountMinor, reason, expiresAt = null, bearers = borneByTheShop } = request.body;
      refuseUnlessWhole(bearers);
      await refuseStranger(context, accountId);
      const credit = {
        personId: accountId,
        currency,
        amountMinor,
        reason,
        expiresAt,
        bearers,
        creditedBy: request.person.id,
      };
      const work = idempotently(database, idempotencyOf(request), async (tx) => ({
        status: 201,
        body: { accountId, currency, amountMinor, ...credited(await creditWallet(tx, credit, ports)) },
      }));
      return answered(reply, await unlessBusy(work));
    },
  );
}

function credited(outcome: Credited): Pick<Static<typeof CreditGiven>, "creditId" | "availableMinor"> {
  switch (outcome.kind) {
    case "ended-already":
      throw problem(422, errors.POINTS_ENDED_ALREADY);
    case "too-large":
      throw problem(422, errors.BALANCE_TOO_LARGE);
    case "credited":
      return { creditId: outcome.creditId, availableMinor: outcome.availableMinor };
    default:
      return outcome satisfies never;
  }
}

function refuseUnlessWhole(bearers: readonly Bearer[]): void {
  if (!isWhole(bearers)) throw problem(422, errors.BEARERS_DO_NOT_ADD_UP);
}

// Longer than accounts' news ever take to arrive, shorter than a request may take.
const accountsWaitMs = 1_000;

/** Who is not known here may have registered a moment ago: then what accounts told up to now is awaited. */
async function refuseStranger({ database, feeds }: Context, accountId: BuyerId): Promise<void> {
  if (await isHolder(database, accountId)) return;
  const isHeard = await feeds.passed("accounts", await databaseNow(database), accountsWaitMs);
  if (await isHolder(database, accountId)) return;
  if (!isHeard) throw problem(503, errors.ACCOUNTS_UNHEARD, { retryAfterSeconds: 1 });
  throw problem(404, errors.HOLDER_NOT_FOUND);
}

// A screen of them; more than a person has who uses what they are given.
const lotsShown = 200;

function looking(http: HttpServer, { database }: Context): void {
  http.get(
    "/v1/admin/wallets/:accountId",
    {
      config: { access: "operator" },
      schema: { summary: "Somebody's points, by lots.", params: AccountPath, response: { 200: AccountWallet } },
    },
    async ({ params: { accountId } }) => {
      const [balances, lots, isKnown] = await Promise.all([
        balancesOf(database, accountId, soonDays),
        lotsOf(database, accountId, lotsShown),
        isHolder(database, accountId),
      ]);
      if (!isKnown && balances.length === 0) throw problem(404, errors.HOLDER_NOT_FOUND);
      return { balances, lots: lots.map((lot) => ({ ...lot, bearers: [...lot.bearers] })) };
    },
  );

  http.get(
    "/v1/admin/wallet-orders/:orderId",
    {
      config: { access: "operator" },
      schema: {
        summary: "An order's points: the lots they came from, and who bears them.",
        params: OrderPath,
        response: { 200: OrderPointsView },
      },
    },
    async ({ params: { orderId } }) => {
      const order = await readOrderPoints(database, orderId);
      if (order === undefined) throw problem(404, errors.ORDER_TOOK_NO_POINTS);
      const { version: _, parts, ...rest } = order;
      return { ...rest, parts: parts.map(partShown) };
    },
  );
}

const partShown = ({
  bearers,
  ...part
}: Omit<Static<typeof OrderPointsView>["parts"][number], "borneBy"> & { readonly bearers: readonly Bearer[] }) => ({
  ...part,
  borneBy: splitAmong(part.amountMinor - part.givenBackMinor, bearers),
});

function grants(http: HttpServer, { database }: Context): void {
  http.put(
    "/v1/admin/daily-grants/:name",
    {
      config: { access: "operator" },
      schema: {
        summary: "Set what everybody may take once a day.",
        params: GrantWish,
        body: GrantTerms,
        response: { 200: Grant },
      },
    },
    async ({ params: { name }, body, person }) => {
      if (!isTimeZone(body.timeZone)) throw problem(422, errors.TIME_ZONE_UNKNOWN);
      await setDailyGrant(database, { name, ...body, setBy: person.id });
      return { name, ...body };
    },
  );
}

function vouchers(http: HttpServer, context: Context): void {
  issuing(http, context);
  const { database } = context;
  http.get(
    "/v1/admin/voucher-batches/:batchId",
    {
      config: { access: "operator" },
      schema: { summary: "A batch of vouchers.", params: BatchPath, response: { 200: VoucherBatchView } },
    },
    async ({ params: { batchId } }) => {
      const batch = await readVoucherBatch(database, batchId);
      if (batch === undefined) throw problem(404, errors.VOUCHER_BATCH_NOT_FOUND);
      return { ...batch, bearers: [...batch.bearers] };
    },
  );

  http.post(
    "/v1/admin/voucher-batches/:batchId/void",
    {
      config: { access: "operator", idempotent: true },
      schema: {
        summary: "Call back what is left in the vouchers of a batch.",
        description: "What was redeemed of them stays with those who have it.",
        params: BatchPath,
        response: { 200: Type.Object({ voidedMinor: Type.Integer() }) },
      },
    },
    async (request, reply) => {
      const work = idempotently(database, idempotencyOf(request), async (tx) => {
        const body = await voidVouchers(tx, request.params.batchId, request.person.id);
        if (body === undefined) throw problem(404, errors.VOUCHER_BATCH_NOT_FOUND);
        return { status: 200, body };
      });
      return answered(reply, await unlessBusy(work));
    },
  );
}

function issuing(http: HttpServer, { database, ports }: Context): void {
  http.post(
    "/v1/admin/vouchers",
    {
      config: { access: "operator", idempotent: true },
      schema: { summary: "Issue gift vouchers.", body: VoucherWish, response: { 201: VouchersIssued } },
    },
    async (request, reply) => {
      const { currency, faceMinor, count, reason, expiresAt = null, bearers = borneByTheShop } = request.body;
      refuseUnlessWhole(bearers);
      const codes = Array.from({ length: count }, newVoucherCode);
      const batchId = ports.ids.uuid();
      const batch = { batchId, currency, faceMinor, bearers, reason, expiresAt, issuedBy: request.person.id };
      // The answer is recorded without the codes: what is stored must not be as good as money.
      const answer = await idempotently(database, idempotencyOf(request), async (tx) => {
        if ((await issueVouchers(tx, batch, codes)) === "ended-already")
          throw problem(422, errors.POINTS_ENDED_ALREADY);
        return { status: 201, body: { batchId, currency, faceMinor } };
      });
      return answered(reply, { ...answer, body: { ...answer.body, codes: answer.replayed ? [] : codes } });
    },
  );
}
