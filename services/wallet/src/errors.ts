import { defineErrors } from "@onsale/http";

export const errors = defineErrors("wallet", {
  GUEST_HAS_NO_WALLET: { title: "A guest has no points; they need an account.", retryable: false },
  HOLDER_NOT_FOUND: { title: "Nobody who could have points has this id.", retryable: false },
  ACCOUNTS_UNHEARD: {
    title: "Nobody here has this id, and what accounts told last has not arrived yet; ask again.",
    retryable: true,
  },
  WALLET_BUSY: { title: "The points are being changed by others at the moment; ask again.", retryable: true },
  BALANCE_TOO_LARGE: { title: "The balance would be larger than one may be.", retryable: false },
  POINTS_ENDED_ALREADY: { title: "The points would have ended already.", retryable: false },
  BEARERS_DO_NOT_ADD_UP: {
    title: "The shares of those who bear the cost are not the whole, or name one twice.",
    retryable: false,
  },
  TIME_ZONE_UNKNOWN: { title: "There is no such time zone.", retryable: false },
  GRANT_NOT_FOUND: { title: "There is no such grant at the moment.", retryable: false },
  GRANT_TAKEN_TODAY: { title: "You had this grant today already.", retryable: false },
  VOUCHER_NOT_FOUND: { title: "There is no voucher with this code.", retryable: false },
  VOUCHER_ENDED: { title: "The voucher's time has passed.", retryable: false },
  VOUCHER_EMPTY: { title: "Nothing is left of the voucher.", retryable: false },
  VOUCHER_HAS_LESS: { title: "The voucher has less left than this.", retryable: false },
  VOUCHER_BATCH_NOT_FOUND: { title: "There is no such batch of vouchers.", retryable: false },
  ORDER_TOOK_NO_POINTS: { title: "No points were wanted for this order.", retryable: false },
});
