import { createHash } from "node:crypto";
import type { HttpServer } from "@onsale/http";

const script = `
const token = location.hash.slice(1);
// Out of the address bar and the history: whoever looks over a shoulder, or at this browser later, has no link.
history.replaceState(null, "", location.pathname);
const form = document.querySelector("form"), said = document.querySelector("output");
form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const body = JSON.stringify({ token, newPassword: form.elements.password.value });
  const headers = { "content-type": "application/json" };
  const answer = await fetch("/v1/password-resets/confirm", { method: "POST", headers, body }).catch(() => undefined);
  said.textContent = answer?.ok ? "Your new password is set. Log in with it."
    : answer === undefined ? "The shop can't be reached. Try again." : (await answer.json()).detail;
  if (answer?.ok) form.remove();
});`;

const style = "body{font:1rem/1.5 system-ui;margin:4rem auto;max-width:24rem;padding:0 1rem}input,button{font:inherit}";

const page = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>A new password</title>
<style>${style}</style>
<h1>A new password</h1>
<form method="post">
<p><label>New password, eight characters or more:<br>
<input name="password" type="password" autocomplete="new-password" minlength="8" maxlength="256" required></label></p>
<button>Set it</button>
</form>
<p><output></output></p>
<script>${script}</script>
</html>
`;

const sourceOf = (text: string): string => `'sha256-${createHash("sha256").update(text).digest("base64")}'`;

const headers = {
  "content-type": "text/html; charset=utf-8",
  "content-security-policy": `default-src 'none'; script-src ${sourceOf(script)}; style-src ${sourceOf(style)}; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`,
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
  "cache-control": "no-store",
};

/** Where a link leads in a shop that has no pages of its own: one field, and nothing from anywhere else. */
export function resetPage(http: HttpServer): void {
  http.get("/reset-password", { config: { access: "public" }, schema: { hide: true } }, async (_request, reply) =>
    reply.headers(headers).send(page),
  );
}
