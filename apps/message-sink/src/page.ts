import type { CaughtMessage } from "./caught-messages.ts";

/** The page for people: what came, the newest first. It has no script, and every word of a message is only a word. */
export function page(messages: readonly CaughtMessage[], total: number): string {
  const rows = messages.map(
    ({ firstAt, channel, to = "", text, times, id }) =>
      `<tr><td>${escaped(firstAt)}<td>${channel}<td>${escaped(to)}<td><pre>${escaped(text)}</pre><td>${times}<td>${escaped(id)}`,
  );
  return `<!doctype html>
<html lang="en"><meta charset="utf-8"><meta http-equiv="refresh" content="5"><title>Messages</title>
<style>body{font:14px system-ui;margin:2rem}td,th{text-align:left;vertical-align:top;padding:.3rem .8rem .3rem 0}pre{margin:0;white-space:pre-wrap}</style>
<h1>Messages</h1>
<p>${total} came. Each is here once, however often it was delivered. <a href="/messages">As JSON</a></p>
<table><tr><th>First came<th>Channel<th>To<th>Message<th>Times<th>Id
${rows.join("\n")}
</table></html>
`;
}

const escaped = (text: string): string =>
  text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");
