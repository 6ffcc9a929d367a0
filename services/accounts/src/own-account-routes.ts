import { Role } from "@onsale/contracts/accounts";
import { BuyerId } from "@onsale/contracts/ids";
import type { HttpServer } from "@onsale/http";
import type { ServiceContext } from "@onsale/runtime";
import { Type } from "typebox";
import { changePassword } from "./change-password.ts";
import { eraseOwnAccount } from "./erase-account.ts";
import { Name, NewPassword, Password } from "./fields.ts";
import type { AccountsPorts } from "./ports.ts";
import { refused } from "./refusals.ts";
import { readAccount, rename } from "./store/account.ts";

type Context = ServiceContext<AccountsPorts>;

const Me = Type.Object({
  accountId: BuyerId,
  role: Role,
  email: Type.Optional(Type.String({ description: "Absent for a guest." })),
  name: Type.Optional(Type.String({ description: "Absent for a guest." })),
});

/** What a person does with their own account. */
export function ownAccountRoutes(http: HttpServer, context: Context): void {
  whoAmI(http, context);
  renaming(http, context);
  changingPassword(http, context);
  erasing(http, context);
}

function whoAmI(http: HttpServer, { database }: Context): void {
  http.get(
    "/v1/accounts/me",
    { config: { access: "buyer" }, schema: { summary: "Who the access token belongs to.", response: { 200: Me } } },
    async ({ person }) => {
      if (person.role === "guest") return { accountId: person.id, role: person.role };
      const account = await readAccount(database, person.id);
      if (account === undefined) throw refused({ kind: "not-found" });
      return account;
    },
  );
}

function renaming(http: HttpServer, { database }: Context): void {
  http.patch(
    "/v1/accounts/me",
    {
      config: { access: "account" },
      schema: { summary: "Change one's name.", body: Type.Object({ name: Name }), response: { 200: Me } },
    },
    async ({ person, body: { name } }) => {
      const account = await rename(database, person.id, name);
      if (account === undefined) throw refused({ kind: "not-found" });
      return account;
    },
  );
}

function changingPassword(http: HttpServer, context: Context): void {
  http.post(
    "/v1/accounts/me/password",
    {
      config: { access: "account" },
      schema: {
        summary:
          "Change one's password, with the old one. It ends every other session, and every link for a new password.",
        body: Type.Object({ oldPassword: Password, newPassword: NewPassword }),
      },
    },
    async ({ person, body: { oldPassword, newPassword }, ip }, reply) => {
      const own = { accountId: person.id, password: oldPassword, address: ip };
      const sessionId = person.sessionId ?? null;
      const outcome = await changePassword(context, { ...own, newPassword, sessionId });
      if (outcome.kind !== "changed") throw refused(outcome);
      return reply.code(204).send();
    },
  );
}

function erasing(http: HttpServer, context: Context): void {
  http.post(
    "/v1/accounts/me/erasure",
    {
      config: { access: "account" },
      schema: {
        summary:
          "Forget me. Name, addresses and log-in are gone at once, orders keep a bare id; asked again, it is done already.",
        body: Type.Object({ password: Password }),
      },
    },
    async ({ person, body: { password }, ip, cause }, reply) => {
      const outcome = await eraseOwnAccount(context, { accountId: person.id, password, address: ip }, cause);
      if (outcome.kind !== "erased") throw refused(outcome);
      return reply.code(204).send();
    },
  );
}
