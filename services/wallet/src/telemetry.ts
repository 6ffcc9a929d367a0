import { defineFact } from "@onsale/runtime";

export const telemetry = {
  pointsHeld: defineFact("points held", { counter: "onsale_points_held_total" }),
  pointsRefused: defineFact("points refused", { counter: "onsale_points_refused_total" }),
  pointsSpent: defineFact("points spent", { counter: "onsale_points_spent_total" }),
  pointsReleased: defineFact("points released", { counter: "onsale_points_released_total" }),
  pointsRefunded: defineFact("points refunded", { counter: "onsale_points_refunded_total" }),
  pointsEarned: defineFact("points earned", { counter: "onsale_points_earned_total" }),
  pointsTakenBack: defineFact("earned points taken back", { counter: "onsale_points_taken_back_total" }),
  pointsExpired: defineFact("points expired", { counter: "onsale_points_expired_total" }),
  walletCredited: defineFact("wallet credited", { counter: "onsale_wallet_credited_total" }),
  dailyGranted: defineFact("daily grant given", { counter: "onsale_daily_granted_total" }),
  vouchersIssued: defineFact("vouchers issued", { counter: "onsale_vouchers_issued_total" }),
  voucherRedeemed: defineFact("voucher redeemed", { counter: "onsale_voucher_redeemed_total" }),
  voucherRefused: defineFact("voucher refused", { counter: "onsale_voucher_refused_total", labels: ["code"] }),
  vouchersExpired: defineFact("vouchers expired", { counter: "onsale_vouchers_expired_total" }),
};
