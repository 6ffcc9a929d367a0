import type { PersonalChannel } from "./message.ts";
import type { LockedRecipient } from "./store/recipient.ts";

/** What a person wishes to be told, and where. */
export interface SettingsWish {
  readonly language: string;
  readonly email: string | null;
  readonly pushToken: string | null;
  readonly orders: readonly PersonalChannel[];
  readonly news: readonly PersonalChannel[];
}

export type SettingsRefusal =
  | { readonly kind: "channel-missing"; readonly channel: PersonalChannel }
  | { readonly kind: "no-address"; readonly channel: PersonalChannel };

const personal: readonly PersonalChannel[] = ["mail", "push"];

/** Why a wish can't be met: the shop has no such channel, or the person chose one without saying where. */
export function whyRefused(
  wish: SettingsWish,
  has: (channel: PersonalChannel) => boolean,
): SettingsRefusal | undefined {
  for (const channel of personal) {
    const address = channel === "mail" ? wish.email : wish.pushToken;
    const isChosen = wish.orders.includes(channel) || wish.news.includes(channel);
    if ((address !== null || isChosen) && !has(channel)) return { kind: "channel-missing", channel };
    if (isChosen && address === null) return { kind: "no-address", channel };
  }
  return undefined;
}

/** Wrong codes after which the right one does not count any more. */
export const wrongCodesAllowed = 5;

type Known = Pick<LockedRecipient, "email" | "emailConfirmed" | "codeHash" | "codeExpired" | "wrongCodes">;

/** Whether the address has to be asked: it is a new one, or the last question to it came to nothing. */
export function asksAddress(wish: Pick<SettingsWish, "email">, known: Known | undefined): boolean {
  if (wish.email === null) return false;
  if (known === undefined || known.email !== wish.email) return true;
  return !known.emailConfirmed && !isOpen(known);
}

/** Whether a code that is given now may be the right one. */
export const isOpen = ({ codeHash, codeExpired, wrongCodes }: Known): boolean =>
  codeHash !== null && !codeExpired && wrongCodes < wrongCodesAllowed;
