/** A message's words in the form that each channel takes. Pure; what has a meaning there is escaped here. */

import type { Wording } from "./wording.ts";

/** What a chat's incoming webhook takes, in Slack's shape: `text` for lists and screen readers, `blocks` for the eye. */
export interface ChatMessage {
  readonly text: string;
  readonly blocks: readonly {
    readonly type: "section";
    readonly text: { readonly type: "mrkdwn"; readonly text: string };
  }[];
}

export function toChat(wording: Wording): ChatMessage {
  const { title, lines } = mapped(wording, (line) => cut(slackEscaped(line), chatLineLength));
  return {
    text: cut([title, ...lines].join("\n"), chatLength),
    blocks: [{ type: "section", text: { type: "mrkdwn", text: cut([`*${title}*`, ...lines].join("\n"), chatLength) } }],
  };
}

export interface MailMessage {
  readonly subject: string;
  readonly text: string;
  readonly html: string;
}

export function toMail(wording: Wording, language: string): MailMessage {
  const { title, lines } = mapped(wording, (line) => line);
  const paragraphs = lines.map((line) => `<p>${htmlEscaped(line)}</p>`).join("\n");
  return {
    subject: cut(title, subjectLength),
    text: `${[title, ...lines].join("\n\n")}\n`,
    html: `<!doctype html>
<html lang="${htmlEscaped(language)}">
<head><meta charset="utf-8"><title>${htmlEscaped(title)}</title></head>
<body><h1>${htmlEscaped(title)}</h1>
${paragraphs}
</body></html>
`,
  };
}

export interface PushMessage {
  readonly title: string;
  readonly body: string;
}

export function toPush(wording: Wording): PushMessage {
  const { title, lines } = mapped(wording, (line) => line);
  return { title: cut(title, pushTitleLength), body: cut(lines.join("\n"), pushBodyLength) };
}

// Slack takes 3,000 characters in a section; a mail client shows some 100 of a subject, a telephone a few lines.
const chatLength = 3_000;
const chatLineLength = 1_000;
const subjectLength = 200;
const pushTitleLength = 100;
const pushBodyLength = 1_000;

const mapped = ({ title, lines }: Wording, form: (line: string) => string): Wording => ({
  title: form(oneLine(title)),
  lines: lines.map((line) => form(oneLine(line))),
});

// Control characters end headers and lines; marks of direction make a text look like another one.
const unwanted = /[\p{Cc}\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]+/gu;

const oneLine = (text: string): string => text.replace(unwanted, " ").trim();

/** Cut between characters, not inside of one, nor inside of an escape. */
function cut(text: string, length: number): string {
  if (text.length <= length) return text;
  const kept = text.slice(0, length - 1).replace(/[\ud800-\udbff]$/, "");
  return `${kept.replace(/&[a-z0-9#]{0,5}$/, "")}…`;
}

/** What Slack's markup asks to be escaped: without `<` there is no link, no mention, no call to everybody. */
const slackEscaped = (text: string): string =>
  text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");

const htmlEscaped = (text: string): string => slackEscaped(text).replaceAll('"', "&quot;").replaceAll("'", "&#39;");
