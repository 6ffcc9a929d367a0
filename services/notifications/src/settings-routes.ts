import { type HttpServer, type ProblemError, problem } from "@onsale/http";
import type { ServiceContext } from "@onsale/runtime";
import type { Static } from "typebox";
import { askPauseMs, changeSettings, confirmAddress, type SettingsChange } from "./change-settings.ts";
import { errors } from "./errors.ts";
import { forgetPerson } from "./forget-person.ts";
import type { NotificationPorts } from "./ports.ts";
import { CodeBody, SettingsBody, SettingsView } from "./schemas.ts";
import { readRecipients } from "./store/recipient.ts";

type Context = ServiceContext<NotificationPorts>;

const path = "/v1/notification-settings";

/** Each person's own settings, guests included: they name nobody, so there is nobody else's to ask for. */
export function settingsRoutes(http: HttpServer, context: Context): void {
  const { database } = context;
  http.get(
    path,
    {
      config: { access: "buyer" },
      schema: { summary: "What I am told, and where.", response: { 200: SettingsView } },
    },
    async ({ person }) => await view(context, person.id),
  );

  http.put(
    path,
    {
      config: { access: "buyer" },
      schema: {
        summary: "Choose what I am told, and where.",
        description:
          "A new e-mail address gets a code, which is given to `/v1/notification-settings/email-confirmation`; nothing else " +
          "is sent to it before. A push token is the device's, as the shop's push gateway knows it.",
        body: SettingsBody,
        response: { 200: SettingsView },
      },
    },
    async ({ person, body }) => {
      const change = await changeSettings(context, person.id, body);
      if (change.kind !== "changed") throw refusalOf(change as Refused);
      return await view(context, person.id);
    },
  );

  http.post(
    `${path}/email-confirmation`,
    {
      config: { access: "buyer" },
      schema: {
        summary: "Confirm my address with the code that it got.",
        body: CodeBody,
        response: { 200: SettingsView },
      },
    },
    async ({ person, body }) => {
      if ((await confirmAddress(context, person.id, body.code)) === "refused") throw problem(422, errors.CODE_REFUSED);
      return await view(context, person.id);
    },
  );

  http.delete(
    path,
    {
      config: { access: "buyer" },
      schema: { summary: "Forget where I am reached. What was still to be told to me is told no more." },
    },
    async ({ person }, reply) => {
      await database.transaction((tx) => forgetPerson(tx, person.id));
      return reply.code(204).send();
    },
  );
}

const nothingChosen: Static<typeof SettingsView> = {
  language: "en",
  email: null,
  emailConfirmed: false,
  pushToken: null,
  orders: [],
  news: [],
};

async function view({ database }: Context, personId: string): Promise<Static<typeof SettingsView>> {
  const recipient = (await readRecipients(database, [personId])).get(personId);
  if (recipient === undefined) return nothingChosen;
  const { personId: _, orders, news, ...rest } = recipient;
  return { ...rest, orders: [...orders], news: [...news] };
}

type Refused = SettingsChange & { readonly kind: Exclude<SettingsChange["kind"], "changed"> };

function refusalOf(change: Refused): ProblemError {
  switch (change.kind) {
    case "channel-missing":
      return problem(422, errors.CHANNEL_MISSING, { detail: `This shop does not send ${change.channel}.` });
    case "no-address":
      return problem(422, errors.NO_ADDRESS, {
        detail: `To be told by ${change.channel}, give ${change.channel === "mail" ? "email" : "pushToken"}.`,
      });
    case "person-erased":
      return problem(409, errors.PERSON_ERASED);
    case "asked-recently":
      return problem(429, errors.ADDRESS_ASKED_RECENTLY, { retryAfterSeconds: askPauseMs / 1_000 });
    default:
      return change satisfies never;
  }
}
