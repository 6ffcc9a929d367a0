import { BuyerId } from "@onsale/contracts/ids";
import { Instant } from "@onsale/contracts/time";
import { type HttpServer, httpErrors, type Person, problem } from "@onsale/http";
import type { ServiceContext } from "@onsale/runtime";
import { Type } from "typebox";
import { accountPage, rangeOf } from "./account-page.ts";
import { changeRole } from "./change-role.ts";
import { errors } from "./errors.ts";
import type { AccountsPorts } from "./ports.ts";
import { refused } from "./refusals.ts";
import { listAccounts, readAccount, readListed } from "./store/account.ts";
import { listRoleChanges } from "./store/role-change.ts";

type Context = ServiceContext<AccountsPorts>;

const AccountRole = Type.Union([Type.Literal("customer"), Type.Literal("operator"), Type.Literal("admin")]);
const textOrNull = (description: string) => Type.Union([Type.String(), Type.Null()], { description });

const ListedAccount = Type.Object({
  accountId: BuyerId,
  email: Type.String(),
  name: Type.String(),
  role: AccountRole,
  createdAt: Instant,
});

const ShownAccount = Type.Object({
  ...ListedAccount.properties,
  email: textOrNull("Null once the account is erased."),
  name: textOrNull("Null once the account is erased."),
  erasedAt: Type.Union([Instant, Type.Null()]),
  roleChanges: Type.Array(
    Type.Object({
      roleBefore: AccountRole,
      role: AccountRole,
      changedBy: Type.Union([BuyerId, Type.Null()], { description: "Null: the shop's configuration." }),
      changedAt: Instant,
    }),
    { description: "The newest first." },
  ),
});

const params = Type.Object({ accountId: BuyerId });

// A page of the largest is 60 kB.
const usualPage = 50;
const maximumPage = 200;

/** What admins do with the accounts of others. */
export function adminRoutes(http: HttpServer, context: Context): void {
  searching(http, context);
  showing(http, context);
  changingRole(http, context);
}

function searching(http: HttpServer, context: Context): void {
  http.get(
    "/v1/admin/accounts",
    {
      config: { access: "admin" },
      schema: {
        summary: "Accounts in the order of their e-mail addresses, by the beginning of the address.",
        querystring: Type.Object({
          emailPrefix: Type.Optional(Type.String({ minLength: 1, maxLength: 254 })),
          staff: Type.Optional(Type.Boolean({ description: "Only those who run the shop." })),
          limit: Type.Optional(Type.Integer({ minimum: 1, maximum: maximumPage, default: usualPage })),
          after: Type.Optional(Type.String({ maxLength: 400, description: "The `next` of the page before." })),
        }),
        response: {
          200: Type.Object({
            accounts: Type.Array(ListedAccount),
            next: textOrNull("Give it as `after` for the next page; null at the end."),
          }),
        },
      },
    },
    async ({ person, query: { emailPrefix = "", staff = false, limit = usualPage, after } }) => {
      await requireAdmin(context, person);
      const range = rangeOf({ emailPrefix, cursor: after });
      if (range === undefined) throw problem(400, errors.INVALID_CURSOR);
      return accountPage(await listAccounts(context.database, { ...range, staff, limit: limit + 1 }), limit);
    },
  );
}

function showing(http: HttpServer, context: Context): void {
  http.get(
    "/v1/admin/accounts/:accountId",
    {
      config: { access: "admin" },
      schema: { summary: "One account, and how it came to its role.", params, response: { 200: ShownAccount } },
    },
    async ({ person, params: { accountId } }) => {
      await requireAdmin(context, person);
      return await shown(context, accountId);
    },
  );
}

function changingRole(http: HttpServer, context: Context): void {
  http.put(
    "/v1/admin/accounts/:accountId/role",
    {
      config: { access: "admin" },
      schema: {
        summary:
          "Give an account a role, or take it. Tokens already given out carry the old one until they expire, half an hour at most.",
        params,
        body: Type.Object({ role: AccountRole }),
        response: { 200: ShownAccount },
      },
    },
    async ({ person, params: { accountId }, body: { role }, cause }) => {
      const outcome = await changeRole(context, { accountId, role, changedBy: person.id }, cause);
      if (outcome === "not-allowed") throw problem(403, httpErrors.FORBIDDEN);
      if (outcome !== "changed") throw refused({ kind: outcome });
      return await shown(context, accountId);
    },
  );
}

/** Here the role is looked up: it is ours, so nobody who lost it reads on with an older token. */
async function requireAdmin({ database }: Context, person: Person): Promise<void> {
  if ((await readAccount(database, person.id))?.role !== "admin") throw problem(403, httpErrors.FORBIDDEN);
}

async function shown({ database }: Context, accountId: BuyerId) {
  const [account, roleChanges] = await Promise.all([
    readListed(database, accountId),
    listRoleChanges(database, accountId),
  ]);
  if (account === undefined) throw refused({ kind: "not-found" });
  return { ...account, roleChanges };
}
