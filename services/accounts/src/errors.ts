import { defineErrors } from "@onsale/http";

export const errors = defineErrors("accounts", {
  EMAIL_TAKEN: { title: "There is an account with this e-mail address.", retryable: false },
  WRONG_CREDENTIALS: { title: "The e-mail address or the password is wrong.", retryable: false },
  REFRESH_TOKEN_REFUSED: { title: "The refresh token is not valid any more; log in again.", retryable: false },
});
