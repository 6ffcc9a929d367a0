import { type HttpServer, problem } from "@onsale/http";
import type { ServiceContext } from "@onsale/runtime";
import { Type } from "typebox";
import { errors } from "./errors.ts";
import type { NotificationPorts } from "./ports.ts";
import { endNewsByMail } from "./store/recipient.ts";
import { telemetry } from "./telemetry.ts";
import { personOfLink } from "./unsubscribe-link.ts";

const path = "/v1/unsubscriptions/:token";
const params = Type.Object({ token: Type.String({ minLength: 1, maxLength: 128 }) });

const style = "body{font:1rem/1.5 system-ui;margin:4rem auto;max-width:24rem;padding:0 1rem}button{font:inherit}";

const page = (body: string): string => `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>News by mail</title>
<style>${style}</style>
<h1>News by mail</h1>
${body}
</html>
`;

const question = page(`<p>You get no more news by mail once you say so. Mails about your orders go on.</p>
<form method="post"><button>No more news by mail</button></form>`);
const done = page("<p>You get no more news by mail.</p>");

const headers = {
  "content-type": "text/html; charset=utf-8",
  "content-security-policy":
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
  "cache-control": "no-store",
};

// What mail programs and browsers send with it (RFC 8058) is a few bytes, and says nothing that the link does not.
const bodyLimitBytes = 1_024;

/** Ends news by mail for whoever has a link from such a mail: by one click of a mail program, or by a button on a page. */
export function unsubscribeRoutes(http: HttpServer, { database, ports }: ServiceContext<NotificationPorts>): void {
  const ownerOf = (token: string): string => {
    const personId = ports.unsubscribing && personOfLink(ports.unsubscribing, token);
    if (personId === undefined) throw problem(404, errors.UNSUBSCRIBE_LINK_REFUSED);
    return personId;
  };

  // Only asks: programs that look at every link of a mail must not end anything.
  http.get(
    path,
    { config: { access: "public" }, schema: { summary: "A page with a button that ends news by mail.", params } },
    async ({ params: { token } }, reply) => {
      ownerOf(token);
      return reply.headers(headers).send(question);
    },
  );

  // Beside JSON it takes what forms send, here and nowhere else.
  void http.register(async (scope: HttpServer) => {
    scope.addContentTypeParser(
      /^(multipart\/form-data|application\/x-www-form-urlencoded)/,
      { parseAs: "buffer", bodyLimit: bodyLimitBytes },
      (_request, _body, parsed) => parsed(null, undefined),
    );
    scope.post(
      path,
      {
        config: { access: "public" },
        schema: {
          summary: "End news by mail, by the link of a mail.",
          description:
            "What a mail program calls for List-Unsubscribe-Post (RFC 8058). Asked again, it is done already.",
          params,
        },
      },
      async ({ params: { token } }, reply) => {
        if ((await endNewsByMail(database, ownerOf(token))) > 0) telemetry.newsEnded();
        return reply.headers(headers).send(done);
      },
    );
  });
}
