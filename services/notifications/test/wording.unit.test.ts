import { describe, expect, test } from "vitest";
import type { Content, MessageKind } from "../src/message.ts";
import { toChat, toMail, toPush } from "../src/rendering.ts";
import { languageOf, languages, wordingOf } from "../src/wording.ts";

const orderId = "0192f0c1-0000-7000-8000-000000000001";

/** Everything that could mean something in a header, in HTML, in a chat's markup or to the eye. */
const hostile = `<script>alert(1)</script> <!channel> <https://evil.example|click> & "q" 'p' \r\nBcc: x@example.com \u202egnp.exe \u0000 %0d%0a \${x} {{x}}`;

/** One of each kind, with hostile text wherever a text can come from outside. */
const contents: { readonly [Kind in MessageKind]: Content } = {
  "order-confirmed": {
    kind: "order-confirmed",
    facts: { orderId: hostile, totalMinor: 1530, currency: "GBP", lineCount: 2 },
  },
  "order-rejected": { kind: "order-rejected", facts: { orderId: hostile, reason: "SOLD_OUT" } },
  "order-cancelled": { kind: "order-cancelled", facts: { orderId: hostile, reason: "TIMED_OUT" } },
  "order-returned": {
    kind: "order-returned",
    facts: { orderId: hostile, refundMinor: 510, pointsMinor: 20, currency: "GBP", units: 2 },
  },
  "return-requested": {
    kind: "return-requested",
    facts: { orderId: hostile, units: 2, lapsesAt: "2026-12-21T09:00:00.000Z" },
  },
  "return-refused": { kind: "return-refused", facts: { orderId: hostile, units: 1 } },
  "return-lapsed": { kind: "return-lapsed", facts: { orderId: hostile, reason: "TIMED_OUT" } },
  "confirm-address": { kind: "confirm-address", facts: { code: hostile } },
  news: { kind: "news", facts: { texts: { en: { title: hostile, text: `${hostile}\nsecond line` } } } },
};

const everyCase = languages.flatMap((language) =>
  Object.values(contents).map((content) => ({ language, kind: content.kind, content })),
);

// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there.
const forbidden = /[\u0000-\u0008\u000b-\u001f\u007f\u202a-\u202e\u2066-\u2069]/;

describe("hostile text means nothing in any channel", () => {
  test.each(everyCase)("$kind in $language", ({ content, language }) => {
    const wording = wordingOf(content, language);
    expect(wording.title).not.toBe("");

    const chat = JSON.stringify(toChat(wording));
    expect(chat).not.toMatch(/[<>]/);
    expect(JSON.parse(chat).text).not.toMatch(forbidden);

    const { subject, text, html } = toMail(wording, language);
    expect(subject).not.toMatch(/[\r\n]/);
    for (const part of [subject, text]) expect(part).not.toMatch(forbidden);
    expect(html).not.toContain("<script");
    expect(
      html.replaceAll(/<\/?(?:!doctype html|html|html lang="..|head|meta charset="utf-8|title|body|h1|p)"?>/g, ""),
    ).not.toMatch(/[<>"']/);

    const push = toPush(wording);
    for (const part of [push.title, push.body]) expect(part).not.toMatch(forbidden);
    expect(push.title.length).toBeLessThanOrEqual(100);
  });

  test("what is too long is cut between characters", () => {
    const { title } = toPush({ title: `${"x".repeat(98)}😀😀`, lines: [] });
    expect(title).toBe(`${"x".repeat(98)}…`);
    const { text } = toChat({ title: "t", lines: ["&".repeat(5_000)] });
    expect(text).toMatch(/^t\n(?:&amp;)+…$/);
  });
});

describe("languages", () => {
  test("a tag is answered in its language, one that is not spoken in English", () => {
    expect(["ko", "ko-KR", "KO", "en-GB", "fr", "tlh-Latn"].map(languageOf)).toEqual([
      "ko",
      "ko",
      "ko",
      "en",
      "en",
      "en",
    ]);
    const confirmed: Content = { ...contents["order-confirmed"] };
    expect(wordingOf(confirmed, "ko-KR").title).toBe("주문이 확정되었습니다");
    expect(wordingOf(confirmed, "fr").title).toBe("Order confirmed");
  });

  test("news are read in one's language, else in English, else in what there is", () => {
    const news = (texts: Record<string, { title: string; text: string }>, language: string) =>
      wordingOf({ kind: "news", facts: { texts } }, language).title;
    const [en, ko] = [
      { title: "Sale", text: "x" },
      { title: "세일", text: "x" },
    ];
    expect([news({ en, ko }, "ko"), news({ en, ko }, "fr"), news({ en }, "ko"), news({ ko }, "en")]).toEqual([
      "세일",
      "Sale",
      "Sale",
      "세일",
    ]);
  });
});

test("an order's message names order, amount and lines, and no person", () => {
  const facts = { orderId, totalMinor: 1530, currency: "GBP", lineCount: 1 };
  expect(wordingOf({ kind: "order-confirmed", facts }, "en")).toEqual({
    title: "Order confirmed",
    lines: ["GBP 15.30, 1 line.", `Order ${orderId}`],
  });
});
