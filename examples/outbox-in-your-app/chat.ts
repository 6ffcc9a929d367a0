/** Receives messages in Slack's shape and shows each once: the line in the file is the message and the memory of its id. */

import { fsyncSync, ftruncateSync, openSync, readFileSync, writeSync } from "node:fs";
import { createServer } from "node:http";
import { text } from "node:stream/consumers";

const [path = "chat.txt", port = "0"] = process.argv.slice(2);

const file = openSync(path, "a+");
const lines = readFileSync(path, "utf8").split("\n");
// Killed in the middle of a line: its sender got no answer and will come again.
const torn = lines.pop() ?? "";
ftruncateSync(
  file,
  lines.reduce((size, line) => size + Buffer.byteLength(line) + 1, 0),
);
if (torn) console.log("forgot a torn line");
const seen = new Set(lines.map((line) => line.split(" ", 1)[0]));

function show(id: string, message: string): void {
  if (seen.has(id)) {
    console.log("dropped", id);
    return;
  }
  writeSync(file, `${id} ${message}\n`);
  // Answered only when it is on the disk: the sender forgets what was answered.
  fsyncSync(file);
  seen.add(id);
  console.log("shown", id);
}

const server = createServer(async (request, response) => {
  const { text: message } = JSON.parse(await text(request));
  show(String(request.headers["webhook-id"]), message.replaceAll("\n", " "));
  response.writeHead(200).end("ok");
});
server.listen(Number(port), "127.0.0.1", () => console.log("chat on", server.address()));
