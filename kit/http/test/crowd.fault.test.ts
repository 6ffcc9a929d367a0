import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { type HttpServer, sendEvents } from "@onsale/http";
import { waitFor } from "@onsale/testing";
import { Type } from "typebox";
import { afterEach, expect, test } from "vitest";
import { listeningServer } from "./server-for-tests.ts";

const open: { close(): Promise<unknown> }[] = [];
const sockets: Socket[] = [];
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await Promise.all(open.splice(0).map((server) => server.close()));
});

async function server(...given: Parameters<typeof listeningServer>) {
  const started = await listeningServer(...given);
  open.push(started.http);
  return started;
}

/** A connection that says exactly what it is told and keeps what it hears. */
async function dial(port: number) {
  const socket = connect(port, "127.0.0.1");
  sockets.push(socket);
  const heard = { text: "", closed: false };
  socket.on("data", (data) => {
    heard.text += data.toString();
  });
  socket.on("close", () => {
    heard.closed = true;
  });
  socket.on("error", () => undefined);
  await once(socket, "connect");
  return { socket, heard, closed: () => waitFor(() => heard.closed, { what: "the end of the connection" }) };
}

const codeOf = async (answer: Response) => ((await answer.json()) as { code: string }).code;

/** A handler that waits until a test lets it go. */
function gate() {
  let letGo: () => void = () => undefined;
  const opened = new Promise<void>((resolve) => {
    letGo = resolve;
  });
  return { letGo, opened };
}

const anybody = { config: { access: "public" } } as const;
const quick = (http: HttpServer) => void http.get("/quick", anybody, async () => ({ fine: true }));
const upload = (http: HttpServer) =>
  void http.post(
    "/upload",
    { ...anybody, schema: { body: Type.Object({ text: Type.String() }) } },
    async ({ body }) => ({ length: body.text.length }),
  );

test("a client that dribbles its headers is cut off with 408", async () => {
  const { port } = await server(quick, { limits: { headersTimeoutMs: 300, requestTimeoutMs: 600 } });
  const { socket, heard, closed } = await dial(port);
  socket.write("GET /quick HTTP/1.1\r\nhost: x\r\nx-slow: ");
  await closed();
  expect(heard.text).toMatch(/^HTTP\/1\.1 408 .*"code":"REQUEST_TIMEOUT"/s);
  expect(heard.text).toContain("content-type: application/problem+json");
});

test("a client that dribbles its body is cut off, and others are served meanwhile", async () => {
  const { port, url } = await server((http) => [quick(http), upload(http)], {
    limits: { headersTimeoutMs: 300, requestTimeoutMs: 600, maximumInFlight: 2 },
  });
  const slow = await Promise.all(Array.from({ length: 10 }, () => dial(port)));
  for (const { socket } of slow)
    socket.write(
      'POST /upload HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 50\r\n\r\n{"te',
    );
  expect((await fetch(`${url}/quick`)).status).toBe(200);
  await Promise.all(slow.map(({ closed }) => closed()));
  for (const { heard } of slow) expect(heard.text).toContain('"code":"REQUEST_TIMEOUT"');
});

test.each([
  [
    "headers without end",
    `GET /quick HTTP/1.1\r\nhost: x\r\nx-long: ${"x".repeat(20_000)}\r\n\r\n`,
    431,
    "HEADERS_TOO_LARGE",
  ],
  [
    "a thousand headers",
    `GET /quick HTTP/1.1\r\nhost: x\r\n${Array.from({ length: 1_000 }, (_, index) => `x-${index}: ${"x".repeat(20)}\r\n`).join("")}\r\n`,
    431,
    "HEADERS_TOO_LARGE",
  ],
  ["no HTTP", "HELLO\r\n\r\n", 400, "MALFORMED_REQUEST"],
  [
    "two lengths",
    "POST /upload HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello",
    400,
    "MALFORMED_REQUEST",
  ],
  [
    "a length and chunks",
    "POST /upload HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    400,
    "MALFORMED_REQUEST",
  ],
  ["no host", "GET /quick HTTP/1.1\r\n\r\n", 400, undefined],
])("%s is refused", async (_what, sent, status, code) => {
  const { port } = await server((http) => [quick(http), upload(http)]);
  const { socket, heard, closed } = await dial(port);
  socket.write(sent);
  await closed();
  expect(heard.text).toContain(`HTTP/1.1 ${status} `);
  if (code !== undefined) expect(heard.text).toContain(`"code":"${code}"`);
});

test("a body over the limit is refused when the limit is passed, announced or not", async () => {
  const { port } = await server(upload, { limits: { bodyBytes: 1_000 } });
  const announced = await dial(port);
  announced.socket.write(
    "POST /upload HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 2000000000\r\n\r\n{",
  );
  await announced.closed();
  const chunked = await dial(port);
  chunked.socket.write(
    "POST /upload HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n",
  );
  chunked.socket.write(`7d0\r\n${"x".repeat(2_000)}\r\n`);
  await chunked.closed();
  for (const { heard } of [announced, chunked])
    expect(heard.text).toMatch(/^HTTP\/1\.1 413 .*"code":"BODY_TOO_LARGE"/s);
});

test("connections beyond the limit are not taken", async () => {
  const { port } = await server(quick, { limits: { maximumConnections: 3 } });
  const dialled = await Promise.all(Array.from({ length: 3 }, () => dial(port)));
  const { closed } = await dial(port);
  await closed();
  expect(dialled.map(({ heard }) => heard.closed)).toEqual([false, false, false]);
});

test("a request that takes too long is answered 503, its late end reaches nobody, and its place is free afterwards", async () => {
  const { letGo, opened } = gate();
  const { url, logged } = await server(
    (http) => {
      quick(http);
      http.get("/slow", anybody, async () => {
        await opened;
        return { late: true };
      });
    },
    { limits: { deadlineMs: 100, maximumInFlight: 1 } },
  );
  const answer = await fetch(`${url}/slow`);
  expect([answer.status, answer.headers.get("retry-after"), await codeOf(answer)]).toEqual([
    503,
    "1",
    "DEADLINE_EXCEEDED",
  ]);
  // The work goes on, so its place is still taken: a database that stands still must not gather work.
  expect(await codeOf(await fetch(`${url}/quick`))).toBe("OVERLOADED");
  letGo();
  await waitFor(() => logged.some(({ message }) => message === "work ended after its deadline"));
  expect((await fetch(`${url}/quick`)).status).toBe(200);
});

test("more than the server takes on at once is refused at once, before the body; health still answers", async () => {
  const { letGo, opened } = gate();
  let entered = 0;
  const { url, port } = await server(
    (http) => {
      upload(http);
      http.get("/held", anybody, async () => {
        entered++;
        await opened;
        return {};
      });
    },
    { limits: { maximumInFlight: 5 } },
  );
  const held = Array.from({ length: 5 }, () => fetch(`${url}/held`));
  await waitFor(() => entered === 5);
  const refused = await Promise.all(Array.from({ length: 20 }, () => fetch(`${url}/held`)));
  for (const answer of refused) {
    expect([answer.status, answer.headers.get("retry-after"), await codeOf(answer)]).toEqual([503, "1", "OVERLOADED"]);
  }
  const bodiless = await dial(port);
  bodiless.socket.write(
    "POST /upload HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 50\r\n\r\n",
  );
  await waitFor(() => bodiless.heard.text.includes("OVERLOADED"));
  expect((await fetch(`${url}/health/live`)).status).toBe(200);
  expect(entered).toBe(5);
  letGo();
  expect((await Promise.all(held)).map(({ status }) => status)).toEqual([200, 200, 200, 200, 200]);
  expect((await fetch(`${url}/held`)).status).toBe(200);
});

/** Events that a test sends one by one, and what became of their stream. */
function source() {
  const waiting: (() => void)[] = [];
  const queue: unknown[] = [];
  const state = { ended: false };
  async function* events(signal: AbortSignal) {
    try {
      for (let id = 1; !signal.aborted; id++) {
        if (queue.length === 0) {
          await new Promise<void>((resolve) => {
            waiting.push(resolve);
            signal.addEventListener("abort", () => resolve(), { once: true });
          });
        }
        if (queue.length > 0) yield { id: String(id), event: "news", data: queue.shift() };
      }
    } finally {
      state.ended = true;
    }
  }
  const tell = (data: unknown) => {
    queue.push(data);
    waiting.shift()?.();
  };
  return { events, tell, state };
}

const streaming =
  ({ events }: ReturnType<typeof source>) =>
  (http: HttpServer) => {
    quick(http);
    http.get("/stream", anybody, async (_request, reply) => sendEvents(reply, events));
  };

test("events reach the client as they come, take no place in flight, and end when the client leaves", async () => {
  const news = source();
  const { url, port } = await server(streaming(news), { limits: { maximumInFlight: 1, deadlineMs: 50 } });
  const { socket, heard } = await dial(port);
  socket.write("GET /stream HTTP/1.1\r\nhost: x\r\n\r\n");
  await waitFor(() => heard.text.includes("text/event-stream"));
  news.tell({ a: "line\nbreak" });
  await waitFor(() => heard.text.includes('id: 1\nevent: news\ndata: {"a":"line\\nbreak"}\n\n'));
  expect((await fetch(`${url}/quick`)).status).toBe(200);
  news.tell("second");
  await waitFor(() => heard.text.includes('id: 2\nevent: news\ndata: "second"\n\n'));
  socket.destroy();
  await waitFor(() => news.state.ended, { what: "the end of the source" });
});

test("streams have a bound, and the head of one ends at once", async () => {
  const news = source();
  const { url } = await server(streaming(news), { limits: { maximumStreams: 1 } });
  expect((await fetch(`${url}/stream`, { method: "HEAD" })).headers.get("content-type")).toBe("text/event-stream");
  const abort = new AbortController();
  const first = await fetch(`${url}/stream`, { signal: abort.signal });
  expect(first.status).toBe(200);
  const second = await fetch(`${url}/stream`);
  expect([second.status, await codeOf(second)]).toEqual([503, "OVERLOADED"]);
  abort.abort();
  const third = await waitFor(async () => {
    const answer = await fetch(`${url}/stream`);
    return answer.status === 200 && answer;
  });
  await third.body?.cancel();
});

test("a source that fails ends its stream and is logged", async () => {
  const { url, logged } = await server((http) => {
    http.get("/failing", anybody, async (_request, reply) =>
      sendEvents(
        reply,
        (async function* () {
          yield { data: 1 };
          throw new Error("the source is gone");
        })(),
      ),
    );
  });
  expect(await (await fetch(`${url}/failing`)).text()).toBe("data: 1\n\n");
  await waitFor(() => logged.some(({ message }) => message === "event stream failed"));
});

test("a stop lets requests finish, ends streams, refuses what comes over open connections, and is over soon", async () => {
  const news = source();
  const { letGo, opened } = gate();
  let entered = false;
  const { http, url, port } = await listeningServer((http) => {
    streaming(news)(http);
    http.get("/held", anybody, async () => {
      entered = true;
      await opened;
      return { finished: true };
    });
  });
  const stream = fetch(`${url}/stream`).then((answer) => answer.text());
  const held = fetch(`${url}/held`);
  const { socket, heard } = await dial(port);
  socket.write("GET /quick HTTP/1.1\r\nhost: x\r\n\r\nGET /held HTTP/1.1\r\nhost: x\r\n\r\n");
  await waitFor(() => entered && http.openStreams.ends.size === 1 && heard.text.includes("fine"));
  const stopped = http.close();
  expect(await stream).toBe("");
  letGo();
  expect(await (await held).json()).toEqual({ finished: true });
  await waitFor(() => heard.text.includes("finished"));
  socket.write("GET /quick HTTP/1.1\r\nhost: x\r\n\r\n");
  await stopped;
  await waitFor(() => heard.closed);
  expect(news.state.ended).toBe(true);
});
