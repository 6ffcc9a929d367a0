import { amountInWords } from "@onsale/contracts/money";
import type { Content, FactsOf, MessageKind } from "./message.ts";

/** A message in words, before a channel gives it its form: plain text, in which nothing has a meaning but itself. */
export interface Wording {
  readonly title: string;
  readonly lines: readonly string[];
}

type Amount = (amountMinor: number, currency: string) => string;

/** One language: how it words every kind of message. */
type Words = { readonly [Kind in MessageKind]: (facts: FactsOf[Kind], amount: Amount) => Wording };

const en: Words = {
  "order-confirmed": ({ orderId, totalMinor, currency, lineCount }, amount) => ({
    title: "Order confirmed",
    lines: [
      `${amount(totalMinor, currency)}, ${lineCount === 1 ? "1 line" : `${lineCount} lines`}.`,
      `Order ${orderId}`,
    ],
  }),
  "order-rejected": ({ orderId, reason }) => ({
    title: "Order not accepted",
    lines: [`${reasonsEn[reason]} Nothing was charged.`, `Order ${orderId}`],
  }),
  "order-cancelled": ({ orderId, reason }) => ({
    title: "Order cancelled",
    lines: [`${reasonsEn[reason]} What was paid is given back.`, `Order ${orderId}`],
  }),
  "order-returned": ({ orderId, refundMinor, pointsMinor, currency, units }, amount) => ({
    title: "Return accepted",
    lines: [
      `${units === 1 ? "1 piece comes" : `${units} pieces come`} back.`,
      ...(refundMinor > 0 ? [`To your card: ${amount(refundMinor, currency)}.`] : []),
      ...(pointsMinor > 0 ? [`As points: ${amount(pointsMinor, currency)}.`] : []),
      `Order ${orderId}`,
    ],
  }),
  "return-requested": ({ orderId, units, lapsesAt }) => ({
    title: "Return noted",
    lines: [
      `${units === 1 ? "1 piece is" : `${units} pieces are`} to come back by ${dayOf(lapsesAt)}.`,
      "We look at what comes back, and pay back what we accept.",
      `Order ${orderId}`,
    ],
  }),
  "return-refused": ({ orderId, units }) => ({
    title: "Not everything was accepted",
    lines: [
      `We looked at what came back: ${units === 1 ? "1 piece is" : `${units} pieces are`} not paid back.`,
      `Order ${orderId}`,
    ],
  }),
  "return-lapsed": ({ orderId, reason }) => ({
    title: "Return ended",
    lines: [lapsesEn[reason], `Order ${orderId}`],
  }),
  "confirm-address": ({ code }) => ({
    title: "Is this your address?",
    lines: [
      "Somebody, probably you, asked us to write to this address. To confirm it, give this code:",
      code,
      "If it was not you, there is nothing to do: without the code we do not write again.",
    ],
  }),
  news: (facts) => newsIn("en", facts),
};

const reasonsEn: Readonly<Record<FactsOf["order-rejected"]["reason"], string>> = {
  SOLD_OUT: "It is sold out.",
  UNKNOWN_SKU: "It is not sold here.",
  LIMIT_PER_BUYER: "It is more than one buyer may have.",
  HOLD_EXPIRED: "It was held for you too long ago.",
  HOLD_MISMATCH: "More was held for you than you ordered.",
  PAYMENT_DECLINED: "The payment was declined.",
  PAYMENT_FAILED: "The payment failed.",
  INSUFFICIENT_POINTS: "There are not enough points.",
  CANCELLED_BY_BUYER: "As you wished.",
  TIMED_OUT: "It took too long.",
};

const lapsesEn: Readonly<Record<FactsOf["return-lapsed"]["reason"], string>> = {
  TIMED_OUT: "Nothing came back in time. You may ask for another return.",
  ORDER_CANCELLED: "The whole order was cancelled, and is given back with it.",
};

const ko: Words = {
  "order-confirmed": ({ orderId, totalMinor, currency, lineCount }, amount) => ({
    title: "주문이 확정되었습니다",
    lines: [`${amount(totalMinor, currency)}, 상품 ${lineCount}종`, `주문 번호 ${orderId}`],
  }),
  "order-rejected": ({ orderId, reason }) => ({
    title: "주문이 접수되지 않았습니다",
    lines: [`${reasonsKo[reason]} 결제되지 않았습니다.`, `주문 번호 ${orderId}`],
  }),
  "order-cancelled": ({ orderId, reason }) => ({
    title: "주문이 취소되었습니다",
    lines: [`${reasonsKo[reason]} 결제하신 금액은 환불됩니다.`, `주문 번호 ${orderId}`],
  }),
  "order-returned": ({ orderId, refundMinor, pointsMinor, currency, units }, amount) => ({
    title: "반품이 접수되었습니다",
    lines: [
      `반품 수량: ${units}개`,
      ...(refundMinor > 0 ? [`카드 환불: ${amount(refundMinor, currency)}`] : []),
      ...(pointsMinor > 0 ? [`포인트 환불: ${amount(pointsMinor, currency)}`] : []),
      `주문 번호 ${orderId}`,
    ],
  }),
  "return-requested": ({ orderId, units, lapsesAt }) => ({
    title: "반품 신청이 접수되었습니다",
    lines: [
      `반품 수량: ${units}개 (${dayOf(lapsesAt)}까지)`,
      "상품을 확인한 뒤 승인된 수량만큼 환불됩니다.",
      `주문 번호 ${orderId}`,
    ],
  }),
  "return-refused": ({ orderId, units }) => ({
    title: "일부 반품이 승인되지 않았습니다",
    lines: [`상품 확인 결과 ${units}개는 환불되지 않습니다.`, `주문 번호 ${orderId}`],
  }),
  "return-lapsed": ({ orderId, reason }) => ({
    title: "반품이 종료되었습니다",
    lines: [lapsesKo[reason], `주문 번호 ${orderId}`],
  }),
  "confirm-address": ({ code }) => ({
    title: "이메일 주소를 확인해 주세요",
    lines: [
      "이 주소로 알림을 보내 달라는 요청이 있었습니다. 본인이 요청하셨다면 아래 코드를 입력해 주세요.",
      code,
      "요청하지 않으셨다면 아무것도 하지 않으셔도 됩니다. 코드가 입력되지 않으면 다시 보내지 않습니다.",
    ],
  }),
  news: (facts) => newsIn("ko", facts),
};

const reasonsKo: typeof reasonsEn = {
  SOLD_OUT: "품절되었습니다.",
  UNKNOWN_SKU: "판매하지 않는 상품입니다.",
  LIMIT_PER_BUYER: "1인당 구매 한도를 초과했습니다.",
  HOLD_EXPIRED: "선점 시간이 만료되었습니다.",
  HOLD_MISMATCH: "선점한 수량이 주문 수량보다 많습니다.",
  PAYMENT_DECLINED: "결제가 거절되었습니다.",
  PAYMENT_FAILED: "결제에 실패했습니다.",
  INSUFFICIENT_POINTS: "포인트가 부족합니다.",
  CANCELLED_BY_BUYER: "요청하신 대로 취소했습니다.",
  TIMED_OUT: "처리 시간이 초과되었습니다.",
};

const lapsesKo: typeof lapsesEn = {
  TIMED_OUT: "기한 안에 상품이 도착하지 않았습니다. 다시 신청하실 수 있습니다.",
  ORDER_CANCELLED: "주문 전체가 취소되어 함께 환불됩니다.",
};

/** A day as everybody reads it, of a moment in UTC. */
const dayOf = (instant: string): string => instant.slice(0, 10);

const spoken = { en, ko } as const;

export type Language = keyof typeof spoken;
export const languages = Object.keys(spoken) as Language[];

/** The language for a tag like `ko-KR`; English for one that is not spoken here. */
export function languageOf(tag: string): Language {
  const [first = ""] = tag.toLowerCase().split("-");
  return languages.find((language) => language === first) ?? "en";
}

/** Puts a message into words. */
export function wordingOf({ kind, facts }: Content, tag: string): Wording {
  const language = languageOf(tag);
  // The compiler does not follow that kind and facts belong together.
  const word = spoken[language][kind] as (facts: unknown, amount: Amount) => Wording;
  return word(facts, (amountMinor, currency) => amountInWords(amountMinor, currency, language));
}

/** In the reader's language, else in English, else in the first that it was written in. */
function newsIn(language: Language, { texts }: FactsOf["news"]): Wording {
  const said = texts[language] ?? texts.en ?? Object.values(texts)[0];
  if (said === undefined) throw new Error("A bulk message has no text.");
  return { title: said.title, lines: said.text.split("\n") };
}
