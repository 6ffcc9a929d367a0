import type { Transaction } from "@onsale/postgres";
import type { ServiceContext } from "@onsale/runtime";
import { hashOfAddress, hashOfCode, isCode, newCode } from "./address-code.ts";
import type { NotificationPorts } from "./ports.ts";
import { asksAddress, isOpen, type SettingsRefusal, type SettingsWish, whyRefused } from "./settings.ts";
import { insertMessages } from "./store/message.ts";
import {
  askAddress,
  confirmEmail,
  countWrongCode,
  isErased,
  lockPerson,
  lockRecipient,
  putRecipient,
  setCode,
} from "./store/recipient.ts";

const minuteMs = 60_000;
// Long enough to find the mail among others, short enough that nobody guesses.
const codeLifeMs = 60 * minuteMs;
/** An address is asked once in so many milliseconds, whoever wishes it. */
export const askPauseMs = 10 * minuteMs;

type Context = ServiceContext<NotificationPorts>;

export type SettingsChange = { readonly kind: "changed" | "asked-recently" | "person-erased" } | SettingsRefusal;

/** Takes a person's wish. A new address is asked whose it is, and told nothing else before it has answered. */
export async function changeSettings(
  { database, ports }: Context,
  personId: string,
  wish: SettingsWish,
): Promise<SettingsChange> {
  const refusal = whyRefused(wish, (channel) => ports.senders[channel] !== undefined);
  if (refusal !== undefined) return refusal;
  return await database.transaction(async (tx) => {
    await lockPerson(tx, personId);
    if (await isErased(tx, personId)) return { kind: "person-erased" };
    const known = await lockRecipient(tx, personId);
    const asks = asksAddress(wish, known);
    if (asks && !(await askAddress(tx, hashOfAddress(wish.email ?? ""), askPauseMs))) return { kind: "asked-recently" };
    await putRecipient(tx, { personId, ...wish, keepsEmail: known !== undefined && known.email === wish.email });
    if (asks) await ask(tx, ports, personId, wish.language);
    return { kind: "changed" };
  });
}

async function ask(tx: Transaction, { ids }: NotificationPorts, personId: string, language: string): Promise<void> {
  const code = newCode();
  await setCode(tx, personId, hashOfCode(personId, code), codeLifeMs);
  const id = ids.uuid();
  await insertMessages(tx, [
    {
      ...{ id, kind: "confirm-address", channel: "mail", about: id, recipientId: personId },
      ...{ orderId: null, buyerId: null, eventId: null, language, facts: { code }, status: "pending" },
    },
  ]);
}

/** Confirms the address with the code that was sent to it. A wrong one counts; after five a new one has to be asked for. */
export async function confirmAddress(
  { database }: Context,
  personId: string,
  code: string,
): Promise<"confirmed" | "refused"> {
  return await database.transaction(async (tx) => {
    const known = await lockRecipient(tx, personId);
    if (known?.emailConfirmed) return "confirmed";
    if (known === undefined || known.codeHash === null || !isOpen(known)) return "refused";
    if (isCode(personId, code, known.codeHash)) {
      await confirmEmail(tx, personId);
      return "confirmed";
    }
    await countWrongCode(tx, personId);
    return "refused";
  });
}
