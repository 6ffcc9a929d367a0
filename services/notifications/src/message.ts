import type { orderConfirmed } from "@onsale/contracts/orders";
import type { DataOf } from "@onsale/messaging";

/** What a chat's incoming webhook takes, in Slack's shape: `text` for lists and screen readers, `blocks` for the eye. */
export interface ChatMessage {
  readonly text: string;
  readonly blocks: readonly {
    readonly type: "section";
    readonly text: { readonly type: "mrkdwn"; readonly text: string };
  }[];
}

/** Tells the shop's people that an order is paid and secured. It names no person: a chat keeps what it was told for ever. */
export function confirmedMessage({
  orderId,
  totalMinor,
  currency,
  lineCount,
}: DataOf<typeof orderConfirmed>): ChatMessage {
  const total = formatAmount(totalMinor, currency);
  const lines = lineCount === 1 ? "1 line" : `${lineCount} lines`;
  return {
    text: `Order ${orderId} is confirmed: ${total}, ${lines}.`,
    blocks: [
      { type: "section", text: { type: "mrkdwn", text: `*Order confirmed*  ${total}, ${lines}\n\`${orderId}\`` } },
    ],
  };
}

/** `GBP 15.30`, `JPY 1530`, `KWD 1.530`: the currency decides how many of the digits are minor. */
function formatAmount(amountMinor: number, currency: string): string {
  const digits = minorDigits(currency);
  const text = String(amountMinor).padStart(digits + 1, "0");
  const whole = text.slice(0, text.length - digits);
  return digits === 0 ? `${currency} ${whole}` : `${currency} ${whole}.${text.slice(-digits)}`;
}

/** Remembered per currency: to ask costs more than everything else about a message. */
const knownMinorDigits = new Map<string, number>();

function minorDigits(currency: string): number {
  const known = knownMinorDigits.get(currency);
  if (known !== undefined) return known;
  const format = new Intl.NumberFormat("en", { style: "currency", currency, currencyDisplay: "code" });
  const digits = format.resolvedOptions().maximumFractionDigits ?? 2;
  knownMinorDigits.set(currency, digits);
  return digits;
}
