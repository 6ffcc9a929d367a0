import { loggedIn, type Token } from "../logged-in.ts";
import type { Shop } from "../shop.ts";
import { customerCredentials, type Play } from "./identity.ts";
import { atMost } from "./in-parallel.ts";
import type { Journal } from "./journal.ts";
import type { PlannedOrder } from "./plan.ts";

export interface BuyersOptions {
  readonly shop: Shop;
  readonly journal: Journal;
  readonly play: Play;
  /** What only this shop's owner knows; customers' passwords are made from it. */
  readonly secret: string;
  /** Tokens of guests who have been here before, by invoice. */
  readonly guests: ReadonlyMap<string, string>;
  /** Called when an account or guest was made that was not there before. */
  readonly onChange: () => void;
}

/**
 * Registrations and log-ins at once. A password costs the shop some 25 ms of a core, on purpose: a crowd of them would
 * only wait there until its time is up, and come again.
 */
export const passwordsAtOnce = 4;

/** Everybody who orders: customers have one account each, a guest invoice is a guest of its own. */
export class Buyers {
  readonly #options: BuyersOptions;
  readonly #tokens = new Map<string, Token>();
  readonly #inTurn = atMost(passwordsAtOnce);

  constructor(options: BuyersOptions) {
    this.#options = options;
  }

  tokenFor({ invoice, customer }: PlannedOrder): Promise<string> {
    const who = customer === undefined ? `guest ${invoice}` : `customer ${customer}`;
    let token = this.#tokens.get(who);
    if (token === undefined) {
      token = customer === undefined ? this.#guest(invoice) : this.#customer(customer);
      this.#tokens.set(who, token);
    }
    return token();
  }

  #customer(customer: string): Token {
    const { shop, play, secret } = this.#options;
    const credentials = customerCredentials(play, customer, secret);
    const person = { ...credentials, name: `Customer ${customer}`.slice(0, 200) };
    let hasAccount = false;
    const logIn = async () => {
      const registered = hasAccount ? undefined : await shop.register(person);
      hasAccount = true;
      if (registered) this.#options.onChange();
      return registered ?? (await shop.logIn(credentials));
    };
    return loggedIn({ logIn: () => this.#inTurn(logIn) }, credentials);
  }

  #guest(invoice: string): Token {
    const known = this.#options.guests.get(invoice);
    let token = known === undefined ? undefined : Promise.resolve(known);
    return () => {
      token ??= this.#newGuest(invoice);
      return token;
    };
  }

  async #newGuest(invoice: string): Promise<string> {
    const { shop, journal, onChange } = this.#options;
    const { accessToken } = await shop.guest();
    onChange();
    await journal.append({ kind: "guest", invoice, accessToken });
    return accessToken;
  }
}
