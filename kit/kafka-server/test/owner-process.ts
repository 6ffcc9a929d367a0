/** Owns a broker until it is killed: `owner-process.ts DIRECTORY JARS`. */

import { startKafka } from "@onsale/kafka-server";

const [, , directory = "", jars = ""] = process.argv;
const server = await startKafka({ directory, jars, machine: "quick" });
console.log(`broker: ${server.pid} ${server.bootstrap}`);
setInterval(() => undefined, 60_000);
