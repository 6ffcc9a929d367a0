import { loggedIn, type Token } from "../logged-in.ts";
import type { Shop } from "../shop.ts";
import { customerCredentials, type Play } from "./identity.ts";
import type { Journal } from "./journal.ts";
import type { PlannedOrder } from "./plan.ts";

export interface BuyersOptions {
  readonly shop: Shop;
  readonly journal: Journal;
  readonly play: Play;
  /** What only this shop's operator knows. */
  readonly secret: string;
  /** Tokens of guests who have been here before, by invoice. */
  readonly guests: ReadonlyMap<string, string>;
  /** Called when an account or guest was made that was not there before. */
  readonly onChange: () => void;
}

/** Everybody who orders: customers have one account each, a guest invoice is a guest of its own. */
export class Buyers {
  readonly #options: BuyersOptions;
  readonly #customers = new Map<string, Token>();
  readonly #guests = new Map<string, Token>();

  constructor(options: BuyersOptions) {
    this.#options = options;
  }

  tokenFor({ invoice, customer }: PlannedOrder): Promise<string> {
    return customer === undefined ? this.#guest(invoice) : this.#customer(customer);
  }

  #customer(customer: string): Promise<string> {
    let token = this.#customers.get(customer);
    if (token === undefined) {
      token = this.#withAccount(customer);
      this.#customers.set(customer, token);
    }
    return token();
  }

  #withAccount(customer: string): Token {
    const { shop, play, secret, onChange } = this.#options;
    const credentials = customerCredentials(play, customer, secret);
    let made: Promise<void> | undefined;
    const token = loggedIn(shop, credentials);
    const register = async (): Promise<void> => {
      if ((await shop.register({ ...credentials, name: `Customer ${customer}`.slice(0, 100) })) === "made") onChange();
    };
    return async () => {
      made ??= register();
      await made;
      return await token();
    };
  }

  #guest(invoice: string): Promise<string> {
    let token = this.#guests.get(invoice);
    if (token === undefined) {
      const known = this.#options.guests.get(invoice);
      const made = known === undefined ? this.#newGuest(invoice) : Promise.resolve(known);
      token = () => made;
      this.#guests.set(invoice, token);
    }
    return token();
  }

  async #newGuest(invoice: string): Promise<string> {
    const { shop, journal, onChange } = this.#options;
    const { accessToken } = await shop.guest();
    onChange();
    await journal.append({ kind: "guest", invoice, accessToken });
    return accessToken;
  }
}
