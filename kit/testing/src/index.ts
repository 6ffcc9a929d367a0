export { outboxConnector } from "@onsale/kafka-server/connect";
export { type TestClock, testClock } from "./clock.ts";
export { type CrashPoint, type CrashScenario, everyCrashPoint, type OutsideStep } from "./crash-points.ts";
export {
  serverOfThisRun,
  type TestDatabase,
  type TestDatabaseContent,
  type TestSchema,
  testDatabase,
} from "./database.ts";
export { deliver, type EventOptions, eventOf } from "./delivery.ts";
export { testIds } from "./ids.ts";
export {
  type OwnKafka,
  ownConnect,
  ownKafka,
  requiresConnect,
  requiresKafka,
  type TestKafka,
  testKafka,
} from "./kafka.ts";
export { type Published, readOutbox } from "./outbox.ts";
export { type SpawnedNode, type SpawnOptions, spawnNode } from "./processes.ts";
export { quickestOf } from "./quickest.ts";
export { type OwnRedis, ownRedis, requiresRedis, type TestRedis, testRedis } from "./redis.ts";
export { present, requires } from "./requires.ts";
export { jarsOfTests } from "./vitest/kafka-of-this-run.ts";
export { reapWhenWeDie } from "./vitest/reaper.ts";
export { type WaitOptions, waitFor } from "./wait.ts";
