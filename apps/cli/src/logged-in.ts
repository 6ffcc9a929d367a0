import type { Shop } from "./shop.ts";

/** Gives a token that is good for the next call. */
export type Token = () => Promise<string>;

/** The share of a token's life after which a new one is asked for. */
const renewAfterShare = 0.8;

/** Logs in when a token is first needed and again before it runs out; callers at the same time share one log-in. */
export function loggedIn(shop: Pick<Shop, "logIn">, credentials: { email: string; password: string }): Token {
  let token: Promise<string> | undefined;
  let renewAt = 0;
  const logIn = async (): Promise<string> => {
    const { accessToken, expiresIn } = await shop.logIn(credentials);
    renewAt = performance.now() + expiresIn * 1_000 * renewAfterShare;
    return accessToken;
  };
  return () => {
    if (token === undefined || performance.now() > renewAt) {
      renewAt = Number.POSITIVE_INFINITY;
      token = logIn().catch((error) => {
        token = undefined;
        throw error;
      });
    }
    return token;
  };
}
