/** Says what this machine lacks for Kafka: `lacks-process.ts JARS`. */

import { whatKafkaLacks } from "@onsale/kafka-server";

const [, , jars = ""] = process.argv;
console.log(`lacks: ${(await whatKafkaLacks(jars)) ?? "nothing"}`);
