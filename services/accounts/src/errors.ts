import { defineErrors } from "@onsale/http";

export const errors = defineErrors("accounts", {
  EMAIL_TAKEN: { title: "There is an account with this e-mail address.", retryable: false },
  WRONG_CREDENTIALS: { title: "The e-mail address or the password is wrong.", retryable: false },
  WRONG_PASSWORD: { title: "The password is wrong.", retryable: false },
  TOO_MANY_ATTEMPTS: { title: "Too many attempts came before this one; wait a while.", retryable: true },
  REFRESH_TOKEN_REFUSED: { title: "The refresh token is not valid any more; log in again.", retryable: false },
  RESET_LINK_REFUSED: { title: "The link is not good any more; ask for another.", retryable: false },
  ACCOUNT_NOT_FOUND: { title: "There is no such account.", retryable: false },
  ACCOUNT_CONFIGURED: {
    title: "The shop's configuration keeps this account; it can be changed only there.",
    retryable: false,
  },
  LAST_ADMIN: { title: "The shop has no other admin.", retryable: false },
  SESSION_NOT_FOUND: { title: "This person has no such session.", retryable: false },
  ADDRESS_NOT_FOUND: { title: "This person has no such address.", retryable: false },
  TOO_MANY_ADDRESSES: { title: "This person has as many addresses as the shop keeps.", retryable: false },
  INVALID_CURSOR: { title: "The cursor is not one that this server gave out.", retryable: false },
});
