import { type HttpServer, problem } from "@onsale/http";
import type { ServiceContext } from "@onsale/runtime";
import { Type } from "typebox";
import { errors } from "./errors.ts";
import { Email, NewPassword } from "./fields.ts";
import type { AccountsPorts } from "./ports.ts";
import { refused } from "./refusals.ts";
import { linkMinutes } from "./reset-link.ts";
import { resetPage } from "./reset-page.ts";
import { askForLink, resetPassword } from "./reset-password.ts";

type Context = ServiceContext<AccountsPorts>;

/** How somebody who forgot their password gets another. */
export function resetRoutes(http: HttpServer, context: Context): void {
  asking(http, context);
  resetting(http, context);
  resetPage(http);
}

function asking(http: HttpServer, context: Context): void {
  http.post(
    "/v1/password-resets",
    {
      config: { access: "public" },
      schema: {
        summary: `Ask for a link to set a new password, by mail. The answer is the same whether or not anybody has the address; the link is good once, for ${linkMinutes} minutes.`,
        body: Type.Object({ email: Email }),
        response: { 202: Type.Object({}) },
      },
    },
    async ({ body: { email }, ip }, reply) => {
      const outcome = await askForLink(context, { email, address: ip });
      if (outcome.kind !== "asked") throw refused(outcome);
      reply.code(202);
      return {};
    },
  );
}

function resetting(http: HttpServer, context: Context): void {
  http.post(
    "/v1/password-resets/confirm",
    {
      config: { access: "public" },
      schema: {
        summary: "Set a new password with the token of a link. Every session of the account ends.",
        body: Type.Object({ token: Type.String({ minLength: 1, maxLength: 128 }), newPassword: NewPassword }),
      },
    },
    async ({ body, ip }, reply) => {
      const outcome = await resetPassword(context, { ...body, address: ip });
      switch (outcome.kind) {
        case "reset":
          return reply.code(204).send();
        case "refused":
          throw problem(403, errors.RESET_LINK_REFUSED);
        case "busy":
          throw refused(outcome);
        default:
          return outcome satisfies never;
      }
    },
  );
}
